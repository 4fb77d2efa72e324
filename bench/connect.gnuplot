# SPDX-License-Identifier: GPL-2.0
# The time that connecting takes, of bench/report's numbers.
#   gnuplot -e "data = 'FILE'; picture = 'FILE'" bench/connect.gnuplot

stats data using 1 nooutput
set terminal svg size 720,440 font "sans-serif,13" background "white"
set output picture
set title sprintf("Connecting to a server of %d addresses, some of them dead", STATS_max + 1)
set xlabel "dead addresses"
set ylabel "seconds until connected"
set xrange [-0.25:STATS_max + 0.25]
set xtics 1
set logscale y
set yrange [0.01:10000]
set format y "%g"
set grid ytics linecolor "#dddddd"
set border 3
set tics nomirror
set key outside below horizontal
plot data using 1:2 with linespoints linewidth 2 pointtype 5 linecolor "#999999" title "SCTP, one by one", \
     data using 1:4 with linespoints linewidth 2 pointtype 9 linecolor "#e69f00" title "TCP, one by one", \
     data using 1:3 with linespoints linewidth 2 pointtype 13 linecolor "#cc79a7" title "sctp\\_connectx(3)", \
     data using 1:5 with linespoints linewidth 2 pointtype 11 linecolor "#0072b2" title "TCP, Happy Eyeballs", \
     data using 1:6 with linespoints linewidth 3 pointtype 7 linecolor "#d55e00" title "bundle"

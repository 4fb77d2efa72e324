#!/usr/bin/perl
# SPDX-License-Identifier: GPL-2.0
#
# A server of Perl's own class for sockets: takes a request up to the end of input,
# and answers with its length and checksum; if the first line is "first", or a GET of
# HTTP, that is the request, and the answer is a file.
#	answer.pl NAME PORT FILE
use strict;
use warnings;
use Digest::SHA qw(sha256_hex);
use IO::Socket::IP;

my ($name, $port, $file) = @ARGV;
local $/;
open(my $answer, '<', $file) or die "$file: $!";
my $content = <$answer>;
my $listener = IO::Socket::IP->new(LocalHost => $name, LocalPort => $port, Listen => 5,
	ReuseAddr => 1) or die "listen: $@";
$| = 1;
while (my $peer = $listener->accept) {
	print 'from ', $peer->peerhost, "\n";
	my $request = do { local $/ = "\n"; <$peer> };
	if ($request =~ /^first\r?\n/) {
		print $peer $content;
	} elsif ($request =~ /^GET /) {
		local $/ = "\n";
		while (<$peer> =~ /[^\r\n]/) {}
		print $peer "HTTP/1.0 200 OK\r\nContent-Length: ", length($content),
			"\r\nConnection: close\r\n\r\n", $content;
	} else {
		$request .= <$peer>;
		print $peer length($request), ' ', sha256_hex($request), "\n";
	}
	close $peer;
}

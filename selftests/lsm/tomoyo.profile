PROFILE_VERSION=20150505
0-COMMENT=What is not under test
0-PREFERENCE={ max_audit_log=0 max_learning_entry=0 }
0-CONFIG={ mode=disabled grant_log=no reject_log=no }
1-COMMENT=bundle_tool
1-PREFERENCE={ max_audit_log=0 max_learning_entry=0 }
1-CONFIG={ mode=disabled grant_log=no reject_log=no }
1-CONFIG::network={ mode=enforcing grant_log=no reject_log=no }

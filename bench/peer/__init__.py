"""A minimal site with allauth.mfa, on the same kind of database, to compare ours with."""

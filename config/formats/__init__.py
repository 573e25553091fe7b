"""Date formats that Django lacks, or has wrong, for a language of the site."""

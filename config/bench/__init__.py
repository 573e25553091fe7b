"""What the site costs, measured: `python3 dev.py bench`. Nothing of the site imports anything of this."""

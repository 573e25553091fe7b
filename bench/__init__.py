"""What the site costs, measured: `python3 dev.py bench`. Nothing imports this package."""

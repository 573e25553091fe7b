"""Measure what the site costs: `python3 dev.py bench`. Nothing imports this package."""

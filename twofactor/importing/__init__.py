"""Imports from other apps: one module reads each app, `write.py` writes the rows. See docs/importing.md."""

"""The way over from other apps: one module reads each, `write.py` writes. Docs: docs/importing.md."""

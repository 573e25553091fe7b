"""A small host site, to test the app with any user model and with more or less of allauth."""

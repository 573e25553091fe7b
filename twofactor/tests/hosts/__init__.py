"""A small site that is not ours, to take the app into: any user model, with more or less of allauth around it."""

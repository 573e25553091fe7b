"""Sites with the second factor of other apps, each run in an environment of its own, and the site that imports."""

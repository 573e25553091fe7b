"""Sites with another app's second factor, each run in an environment of its own, and the site that people come to."""

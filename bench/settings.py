"""The site as it ships, but for the folder that its static files lie in and, where asked, a hash that costs nothing."""

from config.settings import *  # noqa: F403 - settings on top of settings
from config.settings import env

STATIC_ROOT = env.str("BENCH_STATIC_ROOT")
if env.bool("BENCH_FAST_HASHER"):
    PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]

"""The site's settings, with another folder for static files and, on request, a fast password hasher."""

from config.settings import *  # noqa: F403 - settings on top of settings
from config.settings import env

STATIC_ROOT = env.str("BENCH_STATIC_ROOT")
if env.bool("BENCH_FAST_HASHER"):
    PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]

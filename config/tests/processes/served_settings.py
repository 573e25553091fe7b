"""Settings of the served sites: those of the site, with a quick password hasher unless REAL_HASHER is set.

TEST_STATIC_ROOT is the folder of collectstatic. Without it, files are served without a manifest.
"""

from config.settings import *  # noqa: F403 - settings on top of settings
from config.settings import STORAGES, env

if not env.bool("REAL_HASHER", default=False):
    PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
if folder := env.str("TEST_STATIC_ROOT", default=""):
    STATIC_ROOT = folder
else:
    STORAGES["staticfiles"] = {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"}

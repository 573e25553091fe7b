"""Settings for `dev.py mutants`. mutmut forks a process per mutant; files would be shared by all of them."""

from config.settings_test import *  # noqa: F403
from config.settings_test import CACHES, DATABASES

DATABASES["default"]["TEST"] = {}  # in memory
CACHES["default"] = {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"}

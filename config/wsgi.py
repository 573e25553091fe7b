"""The server's entry: `granian --interface wsgi config.wsgi:application`."""

import os
from collections.abc import Callable, Iterable
from typing import Any

from django.core.wsgi import get_wsgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")

site = get_wsgi_application()


def application(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    """Read every form as UTF-8, whatever its header says.

    Django would take any codec that Python has, base64 and rot13 among them, and fails at those before anything
    of ours could answer.
    """
    parts = environ.get("CONTENT_TYPE", "").split(";")
    environ["CONTENT_TYPE"] = ";".join(part for part in parts if not part.strip().lower().startswith("charset"))
    return site(environ, start_response)

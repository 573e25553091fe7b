"""The health check, for load balancers and monitors. A middleware answers it, so that it has no address in urls.py."""

from django.core.cache import cache
from django.db import DatabaseError, connection
from django.http import HttpRequest, HttpResponse
from django.utils.crypto import get_random_string
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe


@never_cache
@require_safe
def healthz(request: HttpRequest) -> HttpResponse:
    """200 only when the database and the cache answer; no session, no cookie."""
    word = get_random_string(12)
    cache.set(f"healthz:{word}", word, 10)
    healthy = cache.get(f"healthz:{word}") == word
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
    except DatabaseError:
        healthy = False
    return HttpResponse("ok\n" if healthy else "not ready\n", status=200 if healthy else 503, content_type="text/plain")

"""What the site takes back of what allauth does with a session."""

import json
from collections.abc import Callable

from django.http import HttpRequest, HttpResponse

# Internal to allauth; test_email_pages fails when it moves.
SUSPENDED = "account_reauthentication_state"


def keep_no_cookie(get_response: Callable[[HttpRequest], HttpResponse]) -> Callable[[HttpRequest], HttpResponse]:
    """Take the cookies out of a request that waits in the session until its owner has typed password and code.

    allauth keeps all of its headers there, and among them what a trusted browser has in place of a code, of which
    the database knows no more than a digest. Stands inside the sessions, so that they are never saved.
    """

    def middleware(request: HttpRequest) -> HttpResponse:
        response = get_response(request)
        if request.session.modified and "request" in (state := request.session.get(SUSPENDED) or {}):
            waiting = json.loads(state["request"])
            waiting["META"] = {name: value for name, value in waiting["META"].items() if "COOKIE" not in name}
            state["request"] = json.dumps(waiting)
        return response

    return middleware

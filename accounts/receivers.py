"""What the site hangs on allauth's signals."""

import logging
from typing import Any

from allauth.account.adapter import get_adapter
from allauth.usersessions.models import UserSession
from django.http import HttpRequest

logger = logging.getLogger("accounts")


def remember_session(request: HttpRequest, **kwargs: Any) -> None:
    """Keep the row that the list of sessions shows; the list itself drops those that have ended."""
    adapter = get_adapter()
    ip = adapter.get_client_ip(request)
    logger.info("event=signed_in user=%s ip=%s", request.user.pk, ip)
    UserSession.objects.create(
        user_id=request.user.pk,
        session_key=request.session.session_key,
        ip=ip,
        user_agent=adapter.get_http_user_agent(request)[: UserSession._meta.get_field("user_agent").max_length],
    )

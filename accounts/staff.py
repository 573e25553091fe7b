"""What staff do to somebody else's account, beside the admin's own forms."""

from typing import Any

from allauth.account.adapter import get_adapter

from accounts.models import User


def tell(user: User, template: str, *, to: str | None = None, **context: Any) -> None:
    """Email the owner. The email names neither the staff member's IP address nor their browser."""
    get_adapter().send_notification_mail(template, user, {**context, "by_staff": True}, to)

"""Emails about a user's account: the language, the addresses, and one template for both text and HTML."""

from collections.abc import Iterable

from allauth.account import app_settings
from allauth.account.models import EmailAddress
from allauth.account.utils import user_email
from django.conf import settings
from django.contrib.auth.base_user import AbstractBaseUser
from django.core.mail import EmailMultiAlternatives
from django.db import transaction
from django.template.loader import render_to_string
from django.utils.translation import get_language, override


def language_of(user: AbstractBaseUser | None) -> str:
    """Return the language for emails to this user.

    It is `user.language` (LANGUAGE_CODE if that is empty). If the user model has no such field, it is the language of
    the current request, which may be the language of an attacker.
    """
    language = getattr(user, "language", None)
    if language is None:
        language = get_language()
    return language or settings.LANGUAGE_CODE


def addresses_of(user: AbstractBaseUser) -> list[str]:
    """Return every verified address of this user. If the site verifies none, return the user's own address."""
    verified = list(EmailAddress.objects.filter(user_id=user.pk, verified=True).values_list("email", flat=True))
    if verified or app_settings.EMAIL_VERIFICATION != "none":
        return verified
    address = user_email(user)
    return [address] if address else []


def send(template: str, context: dict[str, object], *, user: AbstractBaseUser | None, to: Iterable[str]) -> None:
    """Send this email to each address after the commit, in the language of the user.

    The template extends `base`, which is twofactor/email/base.txt for the text and base.html for the HTML. A failing
    mail server is logged and undoes nothing. The Auto-Submitted header (RFC 3834) prevents out-of-office replies.
    """
    context = {"when": None, "url": "", "other_url": "", **context}
    with override(language_of(user)):
        subject = " ".join(_render(template, "subject.txt", context).split())
        context["subject"] = subject
        text = _render(template, "base.txt", context)
        html = _render(template, "base.html", context)
    for address in to:
        message = EmailMultiAlternatives(subject, text, to=[address], headers={"Auto-Submitted": "auto-generated"})
        message.attach_alternative(html, "text/html")
        transaction.on_commit(message.send, robust=True)


def _render(template: str, base: str, context: dict[str, object]) -> str:
    return render_to_string(template, {**context, "base": f"twofactor/email/{base}"})

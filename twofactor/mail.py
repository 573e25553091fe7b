"""Emails about a user's account: the language, the addresses, and one template for both text and HTML."""

import re
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

from twofactor import adapter, useragent

# What base.txt and base.html read. `user_agent` is never shown: it is described in the language of the email.
DEFAULTS = {"when": None, "ip": "", "user_agent": "", "reason": "", "url": "", "other_url": ""}


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
    return _verified_addresses(user) or _unverified_address(user)


def send(
    template: str, context: dict[str, object], *, user: AbstractBaseUser | None, to: Iterable[str] | None = None
) -> None:
    """Send this email to each address after the commit, in the language of the user. `to` defaults to `addresses_of`.

    The template extends `base`, which is twofactor/email/base.txt for the text and base.html for the HTML. A failing
    mail server is logged and undoes nothing. The Auto-Submitted header (RFC 3834) prevents out-of-office replies.

    Only a verified address of this user gets the user's name: a stranger may have signed up with the address of
    another person, and typed any text as the name. Call this before you delete a user, in the same transaction, so
    that the addresses are still known.
    """
    verified = _verified_addresses(user) if user else []
    if to is None:
        to = verified or (_unverified_address(user) if user else [])
    with override(language_of(user)):
        for address in to:
            is_verified = address.lower() in {each.lower() for each in verified}
            name = adapter.current().greeting_name(user) if user and is_verified else ""
            recipient = {"is_verified": is_verified, "greeting_name": " ".join(name.split())}
            message = _message(template, {**DEFAULTS, **context, **recipient})
            message.to = [address]
            transaction.on_commit(message.send, robust=True)


def _verified_addresses(user: AbstractBaseUser) -> list[str]:
    return list(EmailAddress.objects.filter(user_id=user.pk, verified=True).values_list("email", flat=True))


def _unverified_address(user: AbstractBaseUser) -> list[str]:
    """Return the user's own address if the site verifies none."""
    address = user_email(user) if app_settings.EMAIL_VERIFICATION == "none" else None
    return [address] if address else []


def _message(template: str, context: dict[str, object]) -> EmailMultiAlternatives:
    """Render the email in the active language. The subject is its title and the name of the site."""
    title = _render_line(template, "subject.txt", context)
    subject = " ".join(f"{title} · {context['site_name']}".split())
    context |= {
        "title": title,
        "subject": subject,
        "preheader": _render_line(template, "preheader.txt", context),
        "browser": useragent.describe(str(context["user_agent"])),
        "support_email": adapter.current().support_email(),
    }
    text = _without_indentation(_render(template, "base.txt", context))
    message = EmailMultiAlternatives(subject, text, headers={"Auto-Submitted": "auto-generated"})
    message.attach_alternative(_render(template, "base.html", context), "text/html")
    return message


def _without_indentation(text: str) -> str:
    """Return the text without the indentation of templates, and with at most one empty line in a row."""
    lines = "\n".join(line.strip() for line in text.splitlines())
    return re.sub(r"\n{3,}", "\n\n", lines).strip() + "\n"


def _render_line(template: str, base: str, context: dict[str, object]) -> str:
    return " ".join(_render(template, base, context).split())


def _render(template: str, base: str, context: dict[str, object]) -> str:
    return render_to_string(template, {**context, "base": f"twofactor/email/{base}"})

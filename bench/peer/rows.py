"""Creates rows of the minimal site with allauth.mfa without requests."""

import secrets
from typing import Any

from allauth.account.models import EmailAddress
from allauth.mfa.models import Authenticator
from allauth.mfa.recovery_codes.internal.auth import RecoveryCodes
from allauth.mfa.totp.internal.auth import TOTP
from django.contrib.auth.hashers import make_password
from django.contrib.auth.models import User
from django.contrib.sessions.models import Session

from bench.journeys import PASSWORD
from bench.orm import analyze, multiply, session_of
from twofactor import totp


def create_users(on: int, off: int, signed_in: bool = True) -> list[dict[str, Any]]:
    """Like `bench.rows.create_users`."""
    names = [f"user-{secrets.token_hex(6)}@example.com" for _ in range(on + off)]
    hashed = make_password(PASSWORD)
    users = User.objects.bulk_create(User(username=name, email=name, password=hashed) for name in names)
    EmailAddress.objects.bulk_create(
        EmailAddress(user=user, email=user.email, verified=True, primary=True) for user in users
    )
    made = []
    for number, user in enumerate(users):
        data: dict[str, Any] = {"email": user.email, "secret": "", "backup_codes": [], "session": ""}
        if number < on:
            data["secret"] = totp.new_secret()
            TOTP.activate(user, data["secret"])
            data["backup_codes"] = RecoveryCodes.activate(user).get_unused_codes()
        if signed_in:
            data["session"] = session_of(user)
        made.append(data)
    return made


def fill(users: int, rows: int) -> None:
    """Like `bench.rows.fill`, without events and a list of sessions."""
    email = create_users(on=1, off=0)[0]["email"]
    model = User.objects.get(email=email)
    named = "'crowd-' || i || '@example.com'"
    multiply(model, users, email=named, username=named)
    first = User.objects.filter(email__startswith="crowd-").order_by("pk").values_list("pk", flat=True)[0]
    theirs = f"{first} + i % {users}"
    multiply(EmailAddress.objects.get(user=model), users, email=named, user_id=theirs)
    for authenticator in Authenticator.objects.filter(user=model):
        multiply(authenticator, users, user_id=theirs)
    multiply(Session.objects.all()[0], rows, session_key="'crowd-' || i")
    analyze()


def signed_in(since: int = 0) -> int:
    """Return the number of sessions, minus `since`."""
    return Session.objects.filter(expire_date__isnull=False).count() - since

"""People of the minimal site with allauth.mfa, made without a request."""

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


def people(on: int, off: int, signed_in: bool = True) -> list[dict[str, Any]]:
    """As of our site."""
    names = [f"user-{secrets.token_hex(6)}@example.com" for _ in range(on + off)]
    hashed = make_password(PASSWORD)
    users = User.objects.bulk_create(User(username=name, email=name, password=hashed) for name in names)
    EmailAddress.objects.bulk_create(
        EmailAddress(user=user, email=user.email, verified=True, primary=True) for user in users
    )
    made = []
    for number, user in enumerate(users):
        person: dict[str, Any] = {"email": user.email, "secret": "", "backup_codes": [], "session": ""}
        if number < on:
            person["secret"] = totp.new_secret()
            TOTP.activate(user, person["secret"])
            person["backup_codes"] = RecoveryCodes.activate(user).get_unused_codes()
        if signed_in:
            person["session"] = session_of(user)
        made.append(person)
    return made


def crowd(users: int, rows: int) -> None:
    """As of our site; there are no events and no list of sessions."""
    email = people(on=1, off=0)[0]["email"]
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
    """How many sign-ins left a session."""
    return Session.objects.filter(expire_date__isnull=False).count() - since

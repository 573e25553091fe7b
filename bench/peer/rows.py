"""Create users of the minimal allauth.mfa site directly in the database."""

import secrets
from typing import Any

from allauth.account.models import EmailAddress
from allauth.mfa.models import Authenticator
from allauth.mfa.recovery_codes.internal.auth import RecoveryCodes
from allauth.mfa.totp.internal.auth import TOTP
from django.contrib.auth.hashers import make_password
from django.contrib.auth.models import User
from django.contrib.sessions.models import Session

from bench.orm import analyze, multiply, session_of
from twofactor import totp
from twofactor.tests.constants import PASSWORD


def create_users(on: int = 0, off: int = 0, signed_in: bool = True) -> list[dict[str, Any]]:
    """Create users, like `bench.rows.create_users`."""
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


def fill_database(users: int, rows: int) -> None:
    """Fill the database, like `bench.rows.fill_database`. This site has no events and no list of sessions."""
    email = create_users(on=1, off=0)[0]["email"]
    template_user = User.objects.get(email=email)
    email_sql = "'crowd-' || i || '@example.com'"
    multiply(template_user, users, email=email_sql, username=email_sql)
    first = User.objects.filter(email__startswith="crowd-").order_by("pk").values_list("pk", flat=True)[0]
    user_id_sql = f"{first} + i % {users}"
    multiply(EmailAddress.objects.get(user=template_user), users, email=email_sql, user_id=user_id_sql)
    for authenticator in Authenticator.objects.filter(user=template_user):
        multiply(authenticator, users, user_id=user_id_sql)
    multiply(Session.objects.all()[0], rows, session_key="'crowd-' || i")
    analyze()


def count_sessions(already_counted: int = 0) -> int:
    """Return the number of sessions, less `already_counted`."""
    return Session.objects.count() - already_counted

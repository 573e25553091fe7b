"""Create users of this site directly in the database."""

import secrets
import time
from typing import Any

from allauth.account.models import EmailAddress
from allauth.usersessions.models import UserSession
from django.contrib.auth.hashers import make_password
from django.contrib.sessions.models import Session

from accounts.models import User
from bench.orm import analyze, multiply, session_of
from twofactor import sessions, totp
from twofactor.models import AuthenticatorApp, BackupCode, Limit, SecondFactor, SecurityEvent
from twofactor.tests.constants import PASSWORD
from twofactor.tests.passkeys import add_passkey
from twofactor.tests.softkey import SoftKey

EVENTS_EACH = 10


def create_users(on: int = 0, off: int = 0, passkey: int = 0, signed_in: bool = True) -> list[dict[str, Any]]:
    """Create users: with 2FA off, on, and on with a passkey too. All share one password hash."""
    names = [f"user-{secrets.token_hex(6)}@example.com" for _ in range(passkey + on + off)]
    hashed = make_password(PASSWORD)
    users = User.objects.bulk_create(User(email=name, full_name="Ada Example", password=hashed) for name in names)
    EmailAddress.objects.bulk_create(
        EmailAddress(user=user, email=user.email, verified=True, primary=True) for user in users
    )
    made = []
    for number, user in enumerate(users):
        data: dict[str, Any] = {"email": user.email, "secret": "", "backup_codes": [], "session": ""}
        mark = {}
        if number < passkey + on:
            data["secret"] = totp.new_secret()
            data["backup_codes"] = AuthenticatorApp.objects.activate(user, secret=data["secret"])
            if number < passkey:
                key = SoftKey()
                add_passkey(user, key, rp_id="localhost")
                data["passkey"] = key.dump()
            mark = {sessions.KEY: {"version": user.second_factor.version, "method": "code", "at": int(time.time())}}
        if signed_in:
            data["session"] = session_of(user, **mark)
            UserSession.objects.create(user=user, session_key=data["session"], ip="198.18.0.1", user_agent="Bench")
            SecurityEvent.objects.bulk_create(
                SecurityEvent(user=user, kind="turned_on", ip="198.18.0.1") for _ in range(EVENTS_EACH)
            )
        made.append(data)
    return made


def fill_database(users: int, rows: int) -> None:
    """Create `users` users with 2FA and ten backup codes each, and `rows` sessions, events and limits."""
    email = create_users(on=1, off=0)[0]["email"]
    template_user = User.objects.get(email=email)
    email_sql = "'crowd-' || i || '@example.com'"
    multiply(template_user, users, email=email_sql)
    first = User.objects.filter(email__startswith="crowd-").order_by("pk").values_list("pk", flat=True)[0]
    user_id_sql = f"{first} + i % {users}"
    multiply(EmailAddress.objects.get(user=template_user), users, email=email_sql, user_id=user_id_sql)
    multiply(SecondFactor.objects.get(user=template_user), users, user_id=user_id_sql)
    last = SecondFactor.objects.order_by("-pk").values_list("pk", flat=True)[0]
    app = AuthenticatorApp.objects.get(second_factor__user=template_user)
    multiply(app, users, second_factor_id=f"{last - users + 1} + i % {users}")
    code = BackupCode.objects.filter(second_factor__user=template_user)[0]
    multiply(code, users * 10, second_factor_id=f"{last - users + 1} + i % {users}", digest="'digest-' || i")
    multiply(Session.objects.all()[0], rows, session_key="'crowd-' || i")
    multiply(UserSession.objects.filter(user=template_user)[0], rows, session_key="'crowd-' || i", user_id=user_id_sql)
    multiply(SecurityEvent.objects.filter(user=template_user)[0], rows, user_id=user_id_sql)
    limit = Limit.objects.create(key="crowd", hits=1, ends_at=int(time.time()) + 3600)
    multiply(limit, rows, key="'crowd-' || i")
    analyze()


def count_sessions(already_counted: int = 0) -> int:
    """Return the number of sessions, less `already_counted`."""
    return UserSession.objects.count() - already_counted

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
from twofactor import conf, sessions, totp
from twofactor.models import BackupCode, Limit, SecondFactor, SecurityEvent, new_codes, new_version
from twofactor.tests.constants import PASSWORD

EVENTS_EACH = 10


def create_users(on: int, off: int, signed_in: bool = True) -> list[dict[str, Any]]:
    """Create users, the first `on` of them with 2FA. All share one password hash and one set of backup codes."""
    names = [f"user-{secrets.token_hex(6)}@example.com" for _ in range(on + off)]
    hashed = make_password(PASSWORD)
    users = User.objects.bulk_create(User(email=name, full_name="Ada Example", password=hashed) for name in names)
    EmailAddress.objects.bulk_create(
        EmailAddress(user=user, email=user.email, verified=True, primary=True) for user in users
    )
    salt, codes, code_rows = new_codes()
    digests = [row.digest for row in code_rows]
    made = []
    for number, user in enumerate(users):
        data: dict[str, Any] = {"email": user.email, "secret": "", "backup_codes": codes, "session": ""}
        mark = {}
        if number < on:
            data["secret"] = totp.new_secret()
            version = _turn_on(user, data["secret"], salt, digests)
            mark = {sessions.KEY: {"version": version, "method": "code", "at": int(time.time())}}
        if signed_in:
            data["session"] = session_of(user, **mark)
            UserSession.objects.create(user=user, session_key=data["session"], ip="198.18.0.1", user_agent="Bench")
            SecurityEvent.objects.bulk_create(
                SecurityEvent(user=user, kind="turned_on", ip="198.18.0.1") for _ in range(EVENTS_EACH)
            )
        made.append(data)
    return made


def _turn_on(user: User, secret: str, salt: bytes, digests: list[str]) -> str:
    sealed, version = conf.keyring().seal(secret, owner=str(user.pk)), new_version()
    row = SecondFactor.objects.create(user=user, sealed_secret=sealed, backup_salt=salt, version=version)
    BackupCode.objects.bulk_create(BackupCode(second_factor=row, digest=digest) for digest in digests)
    return version


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

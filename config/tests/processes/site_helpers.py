"""What the process tests do in the site's database. Runs in a child: the test process has another database.

`Site.call(function, ...)` sends the name of a function and its arguments as JSON, and returns the result.
"""

import json
import sys
from typing import Any

from allauth.account.models import EmailAddress, EmailConfirmationHMAC
from allauth.usersessions.models import UserSession
from django.contrib.auth.hashers import make_password
from django.core.cache import cache
from django.db import DatabaseError, connection

from accounts.models import User
from twofactor import codes, limits
from twofactor.models import Authenticator, BackupCode, Limit, SecurityEvent

# --- Users ----------------------------------------------------------------------------------------


def make_users(emails: list[str], password: str, secrets: list[str]) -> list[dict[str, Any]]:
    """Create users with a verified address. An empty secret leaves 2FA off."""
    made, hashed = [], make_password(password)
    for email, secret in zip(emails, secrets, strict=True):
        user = User.objects.create(email=email, full_name="Ada Example", password=hashed)
        EmailAddress.objects.create(user=user, email=email, verified=True, primary=True)
        backup_codes = Authenticator.objects.activate(user, secret=secret) if secret else []
        made.append({"pk": user.pk, "email": email, "secret": secret, "backup_codes": backup_codes})
    return made


def pk_of(email: str) -> int:
    return User.objects.get(email=email).pk


def count_sessions(pk: int) -> int:
    """Count the user's UserSession rows. Each sign-in creates one; ending the session deletes it."""
    return UserSession.objects.filter(user_id=pk).count()


def events(pk: int) -> list[str]:
    """Return the kinds of the user's security events, the oldest first."""
    return list(SecurityEvent.objects.filter(user_id=pk).order_by("pk").values_list("kind", flat=True))


def clear_limits() -> None:
    Limit.objects.all().delete()
    cache.clear()


# --- The second factor ----------------------------------------------------------------------------


def authenticator(pk: int) -> dict[str, Any] | None:
    return Authenticator.objects.filter(user_id=pk).values().first()


def secret_of(pk: int) -> str | None:
    return Authenticator.objects.get(user_id=pk).secret


def set_authenticator(pk: int, **values: int | str) -> None:
    Authenticator.objects.filter(user_id=pk).update(**values)


def reset_throttle(pk: int) -> None:
    """Reset the throttle and the last used time step, and the tries of all pending sign-ins."""
    set_authenticator(pk, last_time_step=-1, failures=0, delayed_until=0, budget_spent=0)
    Limit.objects.filter(pk__startswith="sign_in:").delete()


def count_completed_sign_ins() -> int:
    return Limit.objects.filter(pk__startswith="sign_in:", hits=limits.COMPLETED).count()


def count_tries_of_sign_ins() -> int:
    return sum(Limit.objects.filter(pk__startswith="sign_in:").values_list("hits", flat=True))


def make_backup_codes_unused(pk: int) -> None:
    BackupCode.objects.filter(authenticator__user_id=pk).update(used_at=None)


def count_backup_codes(pk: int, *, unused: bool = True) -> int:
    rows = BackupCode.objects.filter(authenticator__user_id=pk)
    return rows.filter(used_at=None).count() if unused else rows.count()


def are_unused_codes(pk: int, shown: list[str]) -> bool:
    """Return whether exactly these are the user's unused backup codes."""
    found = Authenticator.objects.get(user_id=pk)
    digests = [codes.digest(codes.normalize(code) or "", salt=bytes(found.backup_salt)).hex() for code in shown]
    return sorted(digests) == sorted(found.backup_codes.filter(used_at=None).values_list("digest", flat=True))


# --- Addresses ------------------------------------------------------------------------------------


def add_address(pk: int, email: str, *, verified: bool = False) -> str:
    """Add an address to an account, and return the key of its confirmation link."""
    return EmailConfirmationHMAC(EmailAddress.objects.create(user_id=pk, email=email, verified=verified)).key


def confirmation_key(user: str, email: str) -> str:
    return EmailConfirmationHMAC(EmailAddress.objects.get(email=email, user__email=user)).key


def addresses(email: str) -> list[list[Any]]:
    """Return the user's key and `verified`, for each EmailAddress row with this address."""
    return [list(row) for row in EmailAddress.objects.filter(email=email).values_list("user", "verified")]


def owners(email: str) -> list[int]:
    return list(User.objects.filter(email=email).values_list("pk", flat=True))


def primary_addresses(pk: int) -> list[str]:
    """Return `User.email`, followed by the addresses of the EmailAddress rows that are verified and primary."""
    rows = EmailAddress.objects.filter(user=pk, verified=True, primary=True).values_list("email", flat=True)
    return [User.objects.get(pk=pk).email, *rows]


# --- Slow transactions ----------------------------------------------------------------------------

# Triggers that make an INSERT take some seconds. PostgreSQL sleeps. SQLite has no sleep, so it counts.
SLOW = {
    "sqlite": """
        CREATE TRIGGER slow BEFORE {operation} ON {table} BEGIN SELECT count(*) FROM (WITH RECURSIVE c(n) AS
        (SELECT 1 UNION ALL SELECT n + 1 FROM c WHERE n < {seconds} * 3000000) SELECT n FROM c); END
    """,
    "postgresql": """
        CREATE OR REPLACE FUNCTION slow() RETURNS trigger AS
        'BEGIN PERFORM pg_sleep({seconds}); RETURN NULL; END' LANGUAGE plpgsql;
        CREATE TRIGGER slow BEFORE {operation} ON {table} FOR EACH STATEMENT EXECUTE FUNCTION slow()
    """,
}


def execute(*statements: str) -> None:
    with connection.cursor() as cursor:
        for statement in statements:
            cursor.execute(statement)


def make_slow(table: str, operation: str, seconds: int) -> None:
    execute(SLOW[connection.vendor].format(table=table, operation=operation, seconds=seconds))


def make_quick(table: str) -> None:
    execute("DROP TRIGGER slow" + (f" ON {table}" if connection.vendor == "postgresql" else ""))


def is_slow() -> bool:
    """Return whether a slow transaction is in progress."""
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT 1 FROM pg_stat_activity WHERE wait_event = 'PgSleep' AND datname = current_database()"
            )
            return bool(cursor.fetchone())
    try:
        execute("PRAGMA busy_timeout = 0", "BEGIN IMMEDIATE", "ROLLBACK")
    except DatabaseError:
        return True
    finally:
        execute("PRAGMA busy_timeout = 5000")
    return False


# --- Calls from the test process ------------------------------------------------------------------

if __name__ == "__main__":
    for line in sys.stdin:
        name, arguments, options = json.loads(line)
        try:
            answer = {"is": globals()[name](*arguments, **options)}
        except Exception as error:  # noqa: BLE001 - raised again in the test process
            answer = {"error": f"{name}: {type(error).__name__}: {error}"}
        print("ANSWER", json.dumps(answer, default=str), flush=True)

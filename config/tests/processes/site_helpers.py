"""What the process tests do in the site's database. Runs in a child: the test process has another database.

`Site.call(function, ...)` sends the name of a function and its arguments as JSON, and returns the result.
"""

import json
import sys

from allauth.account.models import EmailAddress, EmailConfirmationHMAC
from allauth.usersessions.models import UserSession
from django.contrib.auth.hashers import make_password
from django.core.cache import cache
from django.db import DatabaseError, connection

from accounts.models import User
from twofactor import backup_codes, conf, support
from twofactor.models import AuthenticatorApp, BackupCode, Limit, Passkey, SecondFactor, SecurityEvent
from twofactor.tests import softkey


def make_users(emails, password, secrets):
    """Create users with a verified address. An empty secret leaves 2FA off."""
    made, hashed = [], make_password(password)
    for email, secret in zip(emails, secrets, strict=True):
        user = User.objects.create(email=email, full_name="Ada Example", password=hashed)
        EmailAddress.objects.create(user=user, email=email, verified=True, primary=True)
        codes = AuthenticatorApp.objects.activate(user, secret=secret) if secret else []
        made.append({"pk": user.pk, "email": email, "secret": secret, "backup_codes": codes})
    return made


def add_passkey(pk, credential_id, public_key, user_handle, *, flags, sign_count):
    """Store a key in software as a passkey of this user. Bytes are in hex."""
    Passkey.objects.add(
        User.objects.get(pk=pk),
        Passkey(
            name="Key",
            rp_id=conf.rp_id(),
            credential_id=bytes.fromhex(credential_id),
            public_key=bytes.fromhex(public_key),
            user_handle=bytes.fromhex(user_handle),
            sign_count=sign_count,
            is_user_verified=bool(flags & softkey.UV),
            is_backup_eligible=bool(flags & softkey.BE),
        ),
    )


MODELS = (SecondFactor, AuthenticatorApp, BackupCode, Passkey, EmailAddress, Limit, SecurityEvent, User, UserSession)


def rows(model, **filters):
    (found,) = (each for each in MODELS if each.__name__ == model)
    return list(found.objects.filter(**filters).order_by("pk").values())


def clear_limits():
    Limit.objects.all().delete()
    cache.clear()


def secret_of(pk):
    return AuthenticatorApp.objects.get(second_factor__user=pk).secret


def set_second_factor(pk, **values):
    SecondFactor.objects.filter(user_id=pk).update(**values)


def make_only_superusers(pks):
    """Make these users the only superusers of the site."""
    User.objects.update(is_superuser=False)
    User.objects.filter(pk__in=pks).update(is_superuser=True)


def reset_throttle(pk):
    """Reset the throttle and the last used time step, and the tries of all pending sign-ins."""
    set_second_factor(pk, failures=0, delayed_until=0, budget_spent=0)
    AuthenticatorApp.objects.filter(second_factor__user=pk).update(last_time_step=-1)
    Limit.objects.filter(pk__startswith="sign_in:").delete()


def reset(pk):
    support.reset(User.objects.get(pk=pk), reason="lost the phone")


def make_backup_codes_unused(pk):
    BackupCode.objects.filter(second_factor__user_id=pk).update(used_at=None)


def are_unused_codes(pk, shown):
    """Return whether exactly these are the user's unused backup codes."""
    stored = BackupCode.objects.filter(second_factor__user=pk, used_at=None).values_list("digest", flat=True)
    (salt,) = {backup_codes.salt_of(digest) for digest in stored}
    return {backup_codes.digest(backup_codes.normalize(code) or "", salt=salt) for code in shown} == set(stored)


def add_address(pk, email, *, verified=False):
    """Add an address to an account, and return the key of its confirmation link."""
    return EmailConfirmationHMAC(EmailAddress.objects.create(user_id=pk, email=email, verified=verified)).key


def confirmation_key(user, email):
    return EmailConfirmationHMAC(EmailAddress.objects.get(email=email, user__email=user)).key


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


def execute(*statements):
    with connection.cursor() as cursor:
        for statement in statements:
            cursor.execute(statement)


def make_slow(table, operation, seconds):
    execute(SLOW[connection.vendor].format(table=table, operation=operation, seconds=seconds))


def make_quick(table):
    execute("DROP TRIGGER slow" + (f" ON {table}" if connection.vendor == "postgresql" else ""))


def is_slow():
    """Return whether a slow transaction is in progress."""
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            asleep = "SELECT 1 FROM pg_stat_activity WHERE wait_event = 'PgSleep' AND datname = current_database()"
            cursor.execute(asleep)
            return bool(cursor.fetchone())
    try:
        execute("PRAGMA busy_timeout = 0", "BEGIN IMMEDIATE", "ROLLBACK")
    except DatabaseError:
        return True
    finally:
        execute("PRAGMA busy_timeout = 5000")
    return False


if __name__ == "__main__":
    for line in sys.stdin:
        name, arguments, options = json.loads(line)
        try:
            answer = {"is": globals()[name](*arguments, **options)}
        except Exception as error:  # noqa: BLE001 - raised again in the test process
            answer = {"error": f"{name}: {type(error).__name__}: {error}"}
        print("ANSWER", json.dumps(answer, default=str), flush=True)

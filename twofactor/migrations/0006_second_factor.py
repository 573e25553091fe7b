"""Split Authenticator into SecondFactor and AuthenticatorApp, and store in each backup code how it is checked.

A row that cannot be carried over raises CannotMigrate, which names its user. Each direction checks that first, because
MariaDB and MySQL cannot roll back changes of a table.
"""

import os

import django.db.models.deletion
import django.utils.timezone
from django.conf import settings
from django.db import migrations, models
from django.db.models import Case, Count, Q, Value, When
from django.db.models.functions import Concat, Length, Substr

# The prefixes of digests: `argon2id$<salt>$<digest>`, `hmac-sha256$<digest>` and `password$<hash of Django>`.
OWN, KEYED, PASSWORD = "argon2id$", "hmac-sha256$", "password$"
SALT_BYTES = 16
SALT_LENGTH = 2 * SALT_BYTES  # in hex
OLD_DIGEST = "^[0-9a-f]{64}$"
NEW_DIGEST = r"^(argon2id\$[0-9a-f]{32}\$[0-9a-f]{64}|hmac-sha256\$[0-9a-f]{64}|password\$.{1,255})$"
NAMED = 20  # users in an error

COPY_APPS = """
INSERT INTO twofactor_authenticatorapp (second_factor_id, sealed_secret, last_time_step, created_at)
SELECT id, sealed_secret, last_time_step, created_at FROM twofactor_secondfactor
"""


class CannotMigrate(Exception):
    pass


def refuse(problem, users):
    if users := sorted(set(users)):
        more = f" and {len(users) - NAMED} more" if len(users) > NAMED else ""
        named = ", ".join(map(str, users[:NAMED]))
        raise CannotMigrate(f"Cannot migrate user {named}{more}: {problem}. Nothing was changed.")


def rows_of(name, apps, schema_editor):
    return apps.get_model("twofactor", name)._base_manager.using(schema_editor.connection.alias)


def check_forwards(apps, schema_editor):
    """Refuse salts and backup codes that this app has not written."""
    authenticators = rows_of("Authenticator", apps, schema_editor)
    codes = rows_of("BackupCode", apps, schema_editor)
    # An empty salt marks imported codes, which may be hashes of Django. Those have a "$".
    malformed = authenticators.alias(length=Length("backup_salt")).exclude(length__in=(0, SALT_BYTES))
    refuse("malformed salt", malformed.values_list("user_id", flat=True))
    imported_hash = Q(authenticator__backup_salt=b"", digest__contains="$")
    malformed = codes.exclude(Q(digest__regex=OLD_DIGEST) | imported_hash)
    refuse("malformed backup code", malformed.values_list("authenticator__user_id", flat=True))


def add_prefixes(apps, schema_editor):
    second_factors = rows_of("SecondFactor", apps, schema_editor)
    codes = rows_of("BackupCode", apps, schema_editor)
    codes.filter(digest__contains="$").update(digest=Concat(Value(PASSWORD), "digest"))
    for pk, salt in list(second_factors.exclude(backup_salt=b"").values_list("pk", "backup_salt")):
        codes.filter(second_factor=pk).update(digest=Concat(Value(f"{OWN}{bytes(salt).hex()}$"), "digest"))
    codes.exclude(digest__contains="$").update(digest=Concat(Value(KEYED), "digest"))


def check_backwards(apps, schema_editor):
    """Refuse what the old tables have no columns for."""
    second_factors = rows_of("SecondFactor", apps, schema_editor)
    codes = rows_of("BackupCode", apps, schema_editor)
    refuse("no authenticator app", second_factors.filter(app=None).values_list("user_id", flat=True))
    malformed = codes.exclude(digest__regex=NEW_DIGEST)
    refuse("malformed backup code", malformed.values_list("second_factor__user_id", flat=True))
    prefix_and_salt = Substr("digest", 1, len(OWN) + SALT_LENGTH)
    kind = Case(When(digest__startswith=OWN, then=prefix_and_salt), default=Value("imported"))
    users = codes.values("second_factor__user_id").alias(kinds=Count(kind, distinct=True)).filter(kinds__gt=1)
    refuse("backup codes of two sets", users.values_list("second_factor__user_id", flat=True))


def copy_apps_back_and_remove_prefixes(apps, schema_editor):
    """Update each row once: PostgreSQL cannot alter a table after it has updated a row twice in a transaction."""
    second_factors = rows_of("SecondFactor", apps, schema_editor)
    codes = rows_of("BackupCode", apps, schema_editor)
    own = codes.filter(digest__startswith=OWN)
    salts = dict.fromkeys(codes.values_list("second_factor", flat=True).distinct(), b"")  # marks imported codes
    hex_salts = own.annotate(salt=Substr("digest", len(OWN) + 1, SALT_LENGTH)).values_list("second_factor", "salt")
    salts |= {pk: bytes.fromhex(salt) for pk, salt in hex_salts.distinct()}
    for pk, secret, step in list(second_factors.values_list("pk", "app__sealed_secret", "app__last_time_step")):
        salt = salts.get(pk, os.urandom(SALT_BYTES))
        second_factors.filter(pk=pk).update(sealed_secret=secret, last_time_step=step, backup_salt=salt)
    own.update(digest=Substr("digest", len(OWN) + SALT_LENGTH + 2))
    for prefix in (KEYED, PASSWORD):
        codes.filter(digest__startswith=prefix).update(digest=Substr("digest", len(prefix) + 1))


def rename_permissions(old, new, new_name):
    """Return a function that renames the permissions. Django renames the content type, but not these."""

    def rename(apps, schema_editor):
        permissions = apps.get_model("auth", "Permission")._base_manager.using(schema_editor.connection.alias)
        for action in ("add", "change", "delete", "view"):
            found = permissions.filter(content_type__app_label="twofactor", codename=f"{action}_{old}")
            found.update(codename=f"{action}_{new}", name=f"Can {action} {new_name}")

    return rename


class Migration(migrations.Migration):
    dependencies = [
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
        ("auth", "0012_alter_user_first_name_max_length"),
        ("twofactor", "0005_limits"),
    ]

    operations = [
        migrations.RunPython(check_forwards, migrations.RunPython.noop),
        # RenameField would leave the old name of the field in the constraint.
        migrations.RemoveConstraint("backupcode", "backup_code_once"),
        migrations.RenameModel("Authenticator", "SecondFactor"),
        migrations.RenameField("backupcode", "authenticator", "second_factor"),
        migrations.AlterField("backupcode", "digest", models.CharField(max_length=300)),
        migrations.AlterModelOptions(
            "secondfactor", {"verbose_name": "second factor", "verbose_name_plural": "second factors"}
        ),
        migrations.AlterField(
            "secondfactor",
            "user",
            models.OneToOneField(
                on_delete=django.db.models.deletion.CASCADE,
                related_name="second_factor",
                to=settings.AUTH_USER_MODEL,
                verbose_name="user",
            ),
        ),
        migrations.CreateModel(
            "AuthenticatorApp",
            [
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("sealed_secret", models.TextField(editable=False)),
                ("last_time_step", models.BigIntegerField(default=-1, editable=False)),
                ("created_at", models.DateTimeField(default=django.utils.timezone.now, editable=False)),
                ("last_used_at", models.DateTimeField(editable=False, null=True)),
                (
                    "second_factor",
                    models.OneToOneField(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="app",
                        to="twofactor.secondfactor",
                    ),
                ),
            ],
        ),
        migrations.RunSQL(COPY_APPS, migrations.RunSQL.noop),
        migrations.RunPython(add_prefixes, copy_apps_back_and_remove_prefixes),
        # The defaults are for the columns that the way back adds again.
        migrations.AlterField("secondfactor", "sealed_secret", models.TextField(default="")),
        migrations.AlterField("secondfactor", "backup_salt", models.BinaryField(default=b"")),
        migrations.RemoveField("secondfactor", "sealed_secret"),
        migrations.RemoveField("secondfactor", "last_time_step"),
        migrations.RemoveField("secondfactor", "backup_salt"),
        migrations.AddConstraint(
            "backupcode", models.UniqueConstraint(fields=("second_factor", "digest"), name="backup_code_once")
        ),
        migrations.RunPython(
            rename_permissions("authenticator", "secondfactor", "second factor"),
            rename_permissions("secondfactor", "authenticator", "authenticator"),
        ),
        migrations.RunPython(migrations.RunPython.noop, check_backwards),
    ]

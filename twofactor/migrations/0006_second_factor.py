"""Split Authenticator: the second factor, the authenticator app, and the salt, which becomes part of each digest.

If a row cannot be carried over, the error names its user and nothing is changed. The first operation of each direction
checks that, because MariaDB and MySQL cannot undo changes of a table.
"""

import os

import django.db.models.deletion
import django.utils.timezone
from django.conf import settings
from django.db import migrations, models
from django.db.models import OuterRef, Q, Subquery, Value
from django.db.models.functions import Concat, Substr

# The prefixes of digests.
OWN, KEYED, PASSWORD = "argon2id$", "hmac-sha256$", "password$"
SALT_BYTES = 16
SALT_END = len(OWN) + 2 * SALT_BYTES
PLAIN_DIGEST = "^[0-9a-f]{64}$"
OLD_LENGTH = 255
NAMED = 20  # users in an error

COPY_APPS = """
INSERT INTO twofactor_authenticatorapp (second_factor_id, sealed_secret, last_time_step, created_at)
SELECT id, sealed_secret, last_time_step, created_at FROM twofactor_secondfactor
"""


class CannotMigrate(Exception):
    pass


def refuse(problem, users):
    if users := sorted(set(users), key=str):
        more = f" and {len(users) - NAMED} more" if len(users) > NAMED else ""
        raise CannotMigrate(f"{problem} of user {', '.join(map(str, users[:NAMED]))}{more}. Nothing was changed.")


def models_of(apps, schema_editor, *names):
    alias = schema_editor.connection.alias
    return [apps.get_model("twofactor", name)._base_manager.using(alias) for name in names]


def check_forwards(apps, schema_editor):
    """Refuse backup codes that neither this app nor its import has written."""
    authenticators, codes = models_of(apps, schema_editor, "Authenticator", "BackupCode")
    salts = authenticators.exclude(backup_salt=b"").values_list("user_id", "backup_salt")
    refuse("There is a malformed salt", (user for user, salt in salts if len(salt) != SALT_BYTES))
    malformed = codes.exclude(digest__regex=PLAIN_DIGEST)
    own = ~Q(authenticator__backup_salt=b"")
    malformed = malformed.filter(own | ~Q(digest__contains="$"))
    refuse("There is a malformed backup code", malformed.values_list("authenticator__user_id", flat=True))


def forwards(apps, schema_editor):
    second_factors, codes = models_of(apps, schema_editor, "SecondFactor", "BackupCode")
    schema_editor.execute(COPY_APPS)
    for pk, salt in list(second_factors.exclude(backup_salt=b"").values_list("pk", "backup_salt")):
        own = codes.filter(second_factor_id=pk)
        own.update(digest=Concat(Value(f"{OWN}{bytes(salt).hex()}$"), "digest"))
    imported = codes.filter(second_factor__in=second_factors.filter(backup_salt=b"").values("pk"))
    hashed = Q(digest__contains="$")
    imported.filter(~hashed).update(digest=Concat(Value(KEYED), "digest"))
    imported.filter(hashed).exclude(digest__startswith=KEYED).update(digest=Concat(Value(PASSWORD), "digest"))


def check_backwards(apps, schema_editor):
    """Refuse what the old rows have no columns for."""
    second_factors, codes = models_of(apps, schema_editor, "SecondFactor", "BackupCode")
    refuse("There is no authenticator app", second_factors.filter(app=None).values_list("user_id", flat=True))
    salts = codes.filter(digest__startswith=OWN).annotate(salt=Substr("digest", 1, SALT_END))
    salts = salts.values("second_factor").annotate(salts=models.Count("salt", distinct=True)).filter(salts__gt=1)
    own = codes.filter(digest__startswith=OWN).values("second_factor")
    mixed = codes.exclude(digest__startswith=OWN).filter(second_factor__in=own)
    several = codes.filter(second_factor__in=salts.values("second_factor"))
    refuse("There are backup codes of two kinds", (mixed | several).values_list("second_factor__user_id", flat=True))
    long = codes.filter(digest__startswith=PASSWORD, digest__regex=f".{{{OLD_LENGTH + len(PASSWORD) + 1},}}")
    refuse("There is a digest that is too long", long.values_list("second_factor__user_id", flat=True))


def backwards(apps, schema_editor):
    second_factors, app_rows, codes = models_of(apps, schema_editor, "SecondFactor", "AuthenticatorApp", "BackupCode")
    mine = app_rows.filter(second_factor=OuterRef("pk"))
    second_factors.update(
        sealed_secret=Subquery(mine.values("sealed_secret")[:1]),
        last_time_step=Subquery(mine.values("last_time_step")[:1]),
    )
    own = codes.filter(digest__startswith=OWN)
    salts = dict(own.annotate(salt=Substr("digest", len(OWN) + 1, 2 * SALT_BYTES)).values_list("second_factor", "salt"))
    imported = set(codes.exclude(digest__startswith=OWN).values_list("second_factor", flat=True))
    for pk in list(second_factors.values_list("pk", flat=True)):
        if pk not in imported:
            salt = bytes.fromhex(salts[pk]) if pk in salts else os.urandom(SALT_BYTES)
            second_factors.filter(pk=pk).update(backup_salt=salt)
    own.update(digest=Substr("digest", SALT_END + 2))
    for prefix in (KEYED, PASSWORD):
        codes.filter(digest__startswith=prefix).update(digest=Substr("digest", len(prefix) + 1))


def rename_permissions(old, new, new_name):
    def rename(apps, schema_editor):
        permissions = apps.get_model("auth", "Permission").objects.using(schema_editor.connection.alias)
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
        migrations.RunPython(forwards, backwards),
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

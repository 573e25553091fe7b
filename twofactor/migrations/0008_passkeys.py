"""Create the rows of passkeys. The way back refuses them, because the old tables have no place for them."""

import uuid
from importlib import import_module

import django.db.models.deletion
import django.utils.timezone
from django.db import migrations, models

before = import_module("twofactor.migrations.0006_second_factor")


def check_backwards(apps, schema_editor):
    passkeys = before.rows_of("Passkey", apps, schema_editor)
    before.refuse("a passkey", passkeys.values_list("second_factor__user_id", flat=True))


class Migration(migrations.Migration):
    dependencies = [
        ("twofactor", "0007_event_kinds"),
    ]

    operations = [
        migrations.AddField(
            model_name="secondfactor",
            name="passkey_count",
            field=models.PositiveSmallIntegerField(default=0, editable=False),
        ),
        migrations.CreateModel(
            name="Passkey",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("credential_id", models.BinaryField(max_length=1023)),
                ("digest", models.CharField(editable=False, max_length=64, unique=True)),
                ("user_handle", models.BinaryField(max_length=64)),
                ("public_key", models.BinaryField()),
                ("rp_id", models.CharField(max_length=253, verbose_name="domain")),
                ("sign_count", models.BigIntegerField(default=0)),
                ("transports", models.CharField(blank=True, max_length=200)),
                ("aaguid", models.UUIDField(default=uuid.UUID("00000000-0000-0000-0000-000000000000"))),
                ("is_backup_eligible", models.BooleanField(default=False, null=True)),
                ("is_backed_up", models.BooleanField(default=False, verbose_name="synced")),
                ("is_user_verified", models.BooleanField(default=False)),
                ("is_discoverable", models.BooleanField(default=None, null=True)),
                ("name", models.CharField(max_length=60, verbose_name="name")),
                (
                    "created_at",
                    models.DateTimeField(default=django.utils.timezone.now, editable=False, verbose_name="added"),
                ),
                ("last_used_at", models.DateTimeField(editable=False, null=True, verbose_name="last used")),
                (
                    "second_factor",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="passkeys",
                        to="twofactor.secondfactor",
                    ),
                ),
            ],
            options={
                "verbose_name": "passkey",
                "verbose_name_plural": "passkeys",
            },
        ),
        migrations.RunPython(migrations.RunPython.noop, check_backwards),
    ]

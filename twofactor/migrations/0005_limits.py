from django.db import migrations, models


# The reverse of removing `codes_left`: count the unused backup codes.
COUNT = """
UPDATE twofactor_authenticator SET codes_left = (
    SELECT COUNT(*) FROM twofactor_backupcode
    WHERE twofactor_backupcode.authenticator_id = twofactor_authenticator.id AND twofactor_backupcode.used_at IS NULL
)
"""


class Migration(migrations.Migration):
    dependencies = [
        ("twofactor", "0004_wrong_passwords"),
    ]

    operations = [
        migrations.RunSQL(migrations.RunSQL.noop, COUNT),
        migrations.CreateModel(
            name="Limit",
            fields=[
                ("key", models.CharField(max_length=100, primary_key=True, serialize=False)),
                ("hits", models.PositiveIntegerField()),
                ("ends_at", models.BigIntegerField(db_index=True)),
            ],
        ),
        migrations.RemoveField(
            model_name="authenticator",
            name="closed_sign_in",
        ),
        migrations.RemoveField(
            model_name="authenticator",
            name="codes_left",
        ),
        migrations.RemoveField(
            model_name="authenticator",
            name="failure_mailed",
        ),
        migrations.RemoveField(
            model_name="authenticator",
            name="reset_granted",
        ),
        migrations.DeleteModel(
            name="PendingSignIn",
        ),
    ]

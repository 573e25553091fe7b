from django.db import migrations, models

COUNT = """
UPDATE twofactor_authenticator SET codes_left = (
    SELECT COUNT(*) FROM twofactor_backupcode
    WHERE twofactor_backupcode.authenticator_id = twofactor_authenticator.id AND twofactor_backupcode.used_at IS NULL
)
"""


class Migration(migrations.Migration):
    dependencies = [("twofactor", "0001_initial")]

    operations = [
        migrations.AddField(
            model_name="authenticator",
            name="codes_left",
            field=models.SmallIntegerField(default=0, editable=False),
        ),
        migrations.AddField(
            model_name="authenticator",
            name="closed_sign_in",
            field=models.CharField(default="", editable=False, max_length=32),
        ),
        migrations.RunSQL(COUNT, migrations.RunSQL.noop),
    ]

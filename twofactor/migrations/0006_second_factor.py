import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
        ("twofactor", "0005_limits"),
    ]

    operations = [
        migrations.RemoveConstraint("backupcode", "backup_code_once"),
        migrations.RenameModel("Authenticator", "SecondFactor"),
        migrations.RenameField("backupcode", "authenticator", "second_factor"),
        migrations.AddConstraint(
            "backupcode", models.UniqueConstraint(fields=("second_factor", "digest"), name="backup_code_once")
        ),
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
    ]

from django.db import migrations, models

import accounts.models


class Migration(migrations.Migration):
    """End all existing sessions once.

    Existing users share one version. That is enough: a session is compared with the version of its own user.
    """

    dependencies = [("accounts", "0002_user_language")]

    operations = [
        migrations.AddField(
            model_name="user",
            name="password_version",
            field=models.CharField(default=accounts.models.new_password_version, editable=False, max_length=32),
        ),
    ]

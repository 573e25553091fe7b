from django.db import migrations, models


class Migration(migrations.Migration):
    """Change texts only. No table changes."""

    dependencies = [("accounts", "0004_cache_table")]

    operations = [
        migrations.AlterField(
            model_name="user",
            name="email",
            field=models.EmailField(
                error_messages={"unique": "Someone already has this address."},
                max_length=254,
                unique=True,
                verbose_name="email address",
            ),
        ),
        migrations.AlterField(
            model_name="user",
            name="is_active",
            field=models.BooleanField(
                default=True, help_text="Uncheck this instead of deleting the account.", verbose_name="active"
            ),
        ),
        migrations.AlterField(
            model_name="user",
            name="is_staff",
            field=models.BooleanField(default=False, help_text="Can use the admin.", verbose_name="staff"),
        ),
    ]

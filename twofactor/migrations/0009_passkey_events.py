from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("twofactor", "0008_passkeys"),
    ]

    operations = [
        migrations.AlterField(
            model_name="securityevent",
            name="kind",
            field=models.CharField(
                choices=[
                    ("turned_on", "Two-factor authentication turned on"),
                    ("turned_off", "Two-factor authentication turned off"),
                    ("codes_regenerated", "New backup codes created"),
                    ("passkey_added", "Passkey added"),
                    ("passkey_removed", "Passkey removed"),
                    ("passkey_copied", "Passkey rejected because it may have been copied"),
                    ("app_added", "Authenticator app added"),
                    ("app_removed", "Authenticator app removed"),
                    ("phone_changed", "Authenticator app moved to a new phone"),
                    ("backup_code_used", "Backup code used"),
                    ("wrong_codes", "Five wrong codes after a correct password"),
                    ("wrong_passwords", "Signed out after ten wrong passwords"),
                    ("locked", "Authenticator app locked after too many wrong codes"),
                    ("reset_by_staff", "Two-factor authentication reset by staff"),
                    ("browser_trusted", "New trusted browser"),
                    ("signed_in", "Signed in"),
                    ("new_browser", "Signed in from a new browser"),
                    ("password_changed", "Password changed"),
                    ("password_reset", "Password reset by email"),
                    ("email_added", "Email address added"),
                    ("email_confirmed", "Email address confirmed"),
                    ("email_removed", "Email address removed"),
                    ("email_changed", "Primary email address changed"),
                    ("unlocked_by_staff", "Authenticator app unlocked by staff"),
                    ("sessions_ended", "Signed out everywhere else"),
                ],
                max_length=32,
            ),
        ),
    ]

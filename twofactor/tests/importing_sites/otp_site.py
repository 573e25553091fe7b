"""A site with django-otp only: TOTP and static devices, and users with a UUID as key."""

import time

from twofactor.tests.importing_sites import sites
from twofactor.tests.rfc6238 import STEP_SECONDS, code_at

PLUGINS = [f"django_otp.plugins.otp_{name}" for name in ("totp", "static", "email")]
APPS = ["twofactor.tests.importing_sites.people", "django_otp", *PLUGINS]
SETTINGS = {"apps": APPS, "AUTH_USER_MODEL": "people.Person"}


def create_users():
    sites.migrate()
    from django_otp.plugins.otp_email.models import EmailDevice

    users = {
        "ada": turn_on("ada", long_ago=True),
        "bob": turn_on("bob"),
        "carol": turn_on("carol", digits=8),
        "dan": turn_on("dan", confirmed=False),
        "eve": {"key": sites.make_user("eve").pk},
        "fay": turn_on("fay", long_ago=True, slow_by=4),
    }
    EmailDevice.objects.create(user_id=users["eve"]["key"], name="email")
    return users


def turn_on(name, *, long_ago=False, slow_by=0, **fields):
    """Create devices as the site's pages would, and use a code and two tokens through django-otp's own check."""
    from base64 import b32encode

    from django_otp import match_token, verify_token
    from django_otp.plugins.otp_static.models import StaticDevice, StaticToken
    from django_otp.plugins.otp_totp.models import TOTPDevice

    user = sites.make_user(name)
    device = TOTPDevice.objects.create(user=user, name="phone", tolerance=slow_by or 1, **fields)
    TOTPDevice.objects.update(created_at=sites.yesterday())
    static = StaticDevice.objects.create(user=user, name="paper")
    tokens = [static.token_set.create(token=StaticToken.random_token()).token for _ in range(10)]
    secret = b32encode(device.bin_key).decode()
    code = ""
    if device.confirmed and device.digits == 6:
        code = code_at(secret, time.time() - slow_by * STEP_SECONDS)
        assert verify_token(user, device.persistent_id, code)
        if long_ago:  # the code was typed yesterday
            device.refresh_from_db()
            TOTPDevice.objects.filter(pk=device.pk).update(last_t=device.last_t - 24 * 120)
    used = [token for token in tokens[:2] if match_token(user, token)]
    assert len(used) == 2
    return {"key": user.pk, "secret": secret, "code": code, "unused": tokens[2:], "used": used}

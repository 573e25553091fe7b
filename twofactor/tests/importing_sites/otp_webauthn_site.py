"""A site with django-otp-webauthn: passkeys as devices of django-otp. Ada's row has lost its attestation."""

import json

from django.test import Client

from twofactor.tests.importing_sites import sites
from twofactor.tests.softkey import SoftKey

SETTINGS = {
    "apps": ["django_otp", "django_otp.plugins.otp_totp", "django_otp_webauthn"],
    "middleware": ["django_otp.middleware.OTPMiddleware"],
    "ROOT_URLCONF": "django_otp_webauthn.urls",
    "OTP_WEBAUTHN_RP_NAME": "OTP",
    "OTP_WEBAUTHN_RP_ID": sites.HOST,
    "OTP_WEBAUTHN_ALLOWED_ORIGINS": [sites.ORIGIN],
}


def create_users():
    sites.migrate()
    from django_otp_webauthn.models import WebAuthnAttestation, WebAuthnCredential

    users = {
        "ada": add_passkey("ada", SoftKey(flags=0, sign_count=4, step=1)),
        "gus": add_passkey("gus", SoftKey(-257)),
        "eve": add_passkey("eve", SoftKey()),
    }
    WebAuthnAttestation.objects.filter(credential__user=users["ada"]["key"]).delete()
    WebAuthnCredential.objects.filter(user=users["eve"]["key"]).update(public_key=b"damaged")
    WebAuthnAttestation.objects.filter(credential__user=users["eve"]["key"]).delete()
    return users


def add_passkey(name, key):
    """Add a passkey to a new user, and use it."""
    user = sites.make_user(name)
    browser = Client()
    browser.force_login(user)
    for ceremony, ask in (("registration", key.create), ("authentication", key.get)):
        options = browser.post(f"/{ceremony}/begin/").json()
        answer = json.dumps(ask(options, origin=sites.ORIGIN))
        done = browser.post(f"/{ceremony}/complete/", answer, content_type="application/json")
        assert done.status_code == 200, done.content
    return {"key": user.pk, "passkey": key.dump()}

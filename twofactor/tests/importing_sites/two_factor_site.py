"""A site with django-two-factor-auth: its wizard, its backup tokens, its sign-in."""

import json

from twofactor.tests.importing_sites import sites
from twofactor.tests.softkey import SoftKey

LOGIN, SETUP, TOKENS = "/account/login/", "/account/two_factor/setup/", "/account/two_factor/backup/tokens/"
APPS = ["django_otp", "django_otp.plugins.otp_totp", "django_otp.plugins.otp_static"]
APPS += ["two_factor", "two_factor.plugins.phonenumber", "two_factor.plugins.webauthn"]
ORIGIN = f"http://{sites.HOST}"  # it compares the scheme of the request, which is not encrypted in these tests


SETTINGS = {
    "apps": APPS,
    "middleware": ["django_otp.middleware.OTPMiddleware"],
    "base": "{% block content %}{% endblock %}",
    "ROOT_URLCONF": "twofactor.tests.importing_sites.two_factor_urls",
    "LOGIN_REDIRECT_URL": "/",
    "LOGIN_URL": LOGIN,
    "TWO_FACTOR_WEBAUTHN_RP_NAME": "Two factor",
}


def create_users():
    sites.migrate()
    from django_otp.plugins.otp_totp.models import TOTPDevice

    users = sites.turn_on_long_ago_and_now(turn_on, use_up, TOTPDevice)
    eve = sites.make_user("eve")
    eve.phonedevice_set.create(name="default", number="+31201234567", method="sms")
    return users | {"eve": {"key": eve.pk}, "gus": add_passkey("gus", SoftKey(sign_count=4, step=1))}


def turn_on(name):
    user = sites.make_user(name)
    browser = give_password(name)
    browser.get(SETUP)
    browser.post(SETUP, {"setup_view-current_step": "welcome"})
    page = browser.post(SETUP, {"setup_view-current_step": "method", "method-method": "generator"})
    secret = page.context["secret_key"]
    code = sites.code_now(secret)
    browser.post(SETUP, {"setup_view-current_step": "generator", "generator-token": code})
    browser.post(TOKENS)
    tokens = list(user.staticdevice_set.get().token_set.values_list("token", flat=True))
    assert len(tokens) == 10
    return {"key": user.pk, "secret": secret, "code": code, "unused": tokens, "used": []}


def use_up(name, token):
    browser = give_password(name)
    assert not sites.is_signed_in(browser)
    browser.post(LOGIN, {"login_view-current_step": "backup", "backup-otp_token": token})
    assert sites.is_signed_in(browser)
    return token


def add_passkey(name, key):
    """Turn 2FA on for a new user with a passkey, and sign in with it."""
    user = sites.make_user(name)
    browser = give_password(name)
    browser.get(SETUP)
    browser.post(SETUP, {"setup_view-current_step": "welcome"})
    browser.post(SETUP, {"setup_view-current_step": "method", "method-method": "webauthn"})
    options = json.loads(browser.session["webauthn_creation_options"])
    answer = json.dumps(key.create(options, origin=ORIGIN))
    browser.post(SETUP, {"setup_view-current_step": "webauthn", "webauthn-token": answer})
    browser = give_password(name)
    options = json.loads(browser.session["webauthn_request_options"])
    answer = json.dumps(key.get(options, origin=ORIGIN))
    browser.post(LOGIN, {"login_view-current_step": "token", "token-otp_token": answer})
    assert sites.is_signed_in(browser)
    return {"key": user.pk, "passkey": key.dump()}


def give_password(name):
    typed = {"login_view-current_step": "auth", "auth-username": name, "auth-password": sites.PASSWORD}
    return sites.give_password(LOGIN, typed)

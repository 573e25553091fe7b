"""A site with allauth.mfa. The argument, if any, is its MFA_ADAPTER."""

import json

from django.conf import settings

from twofactor.tests.importing_sites import sites
from twofactor.tests.softkey import SoftKey

SETTINGS = {
    "apps": ["allauth", "allauth.account", "allauth.mfa"],
    "middleware": ["allauth.account.middleware.AccountMiddleware"],
    "AUTHENTICATION_BACKENDS": ["allauth.account.auth_backends.AuthenticationBackend"],
    "ROOT_URLCONF": "allauth.urls",
    "ACCOUNT_EMAIL_VERIFICATION": "none",
    "MFA_SUPPORTED_TYPES": ["totp", "recovery_codes", "webauthn"],
    "MFA_TOTP_TOLERANCE": 1,
}
ADD, AUTHENTICATE = "/2fa/webauthn/add/", "/2fa/authenticate/"


def create_users(adapter="allauth.mfa.adapter.DefaultMFAAdapter"):
    settings.MFA_ADAPTER = adapter
    sites.migrate()
    from allauth.mfa.models import Authenticator

    users = sites.turn_on_long_ago_and_now(turn_on, use_up, Authenticator)
    Authenticator.objects.filter(user=users["ada"]["key"], last_used_at__isnull=False).update(
        last_used_at=sites.yesterday()
    )
    users["eve"] = add_passkey("eve", SoftKey(), host=sites.OTHER_HOST)
    users["gus"] = add_passkey("gus", SoftKey())
    users["ivy"] = add_passkey("ivy", SoftKey(-257, flags=0, sign_count=4, step=1), turn_on=turn_on)
    return users


def make_user(name):
    user = sites.make_user(name)
    user.emailaddress_set.create(email=user.email, verified=True, primary=True)
    return {"key": user.pk}


def turn_on(name):
    user = make_user(name)
    browser = give_password(name)
    browser.post("/reauthenticate/", {"password": sites.PASSWORD})
    secret = browser.get("/2fa/totp/activate/").context["form"].secret
    code = sites.code_now(secret)
    browser.post("/2fa/totp/activate/", {"code": code})
    codes = browser.get("/2fa/recovery-codes/").context["unused_codes"]
    assert len(codes) == 10
    return user | {"secret": secret, "code": code, "unused": codes, "used": []}


def use_up(name, code):
    browser = give_password(name)
    browser.post(AUTHENTICATE, {"code": code})
    assert sites.is_signed_in(browser)
    return code


def add_passkey(name, key, *, turn_on=make_user, host=sites.HOST):
    """Add a passkey to a new user, and sign in with it."""
    user = turn_on(name)
    browser = give_password(name, host=host)
    if user.get("unused"):
        code = user["unused"].pop()
        browser.post(AUTHENTICATE, {"code": code})
        user["used"].append(code)
    browser.post("/reauthenticate/", {"password": sites.PASSWORD})
    options = browser.get(ADD).context["js_data"]["creation_options"]["publicKey"]
    answer = key.create(options, origin=f"https://{host}")
    browser.post(ADD, {"name": "My key", "credential": json.dumps(answer)})
    browser = give_password(name, host=host)
    options = browser.get(AUTHENTICATE).context["js_data"]["request_options"]["publicKey"]
    browser.post(AUTHENTICATE, {"credential": json.dumps(key.get(options, origin=f"https://{host}"))})
    assert sites.is_signed_in(browser)
    return user | {"passkey": key.dump()}


def give_password(name, **host):
    return sites.give_password("/login/", {"login": name, "password": sites.PASSWORD}, **host)

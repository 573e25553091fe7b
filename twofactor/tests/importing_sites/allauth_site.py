"""A site with allauth.mfa. The argument, if any, is its MFA_ADAPTER."""

from django.conf import settings

from twofactor.tests.importing_sites import sites

SETTINGS = {
    "apps": ["allauth", "allauth.account", "allauth.mfa"],
    "middleware": ["allauth.account.middleware.AccountMiddleware"],
    "AUTHENTICATION_BACKENDS": ["allauth.account.auth_backends.AuthenticationBackend"],
    "ROOT_URLCONF": "allauth.urls",
    "ACCOUNT_EMAIL_VERIFICATION": "none",
    "MFA_TOTP_TOLERANCE": 1,
}


def create_users(adapter="allauth.mfa.adapter.DefaultMFAAdapter"):
    settings.MFA_ADAPTER = adapter
    sites.migrate()
    from allauth.mfa.models import Authenticator

    users = sites.turn_on_long_ago_and_now(turn_on, use_up, Authenticator)
    Authenticator.objects.filter(user=users["ada"]["key"], last_used_at__isnull=False).update(
        last_used_at=sites.yesterday()
    )
    eve = sites.make_user("eve")
    Authenticator.objects.create(user=eve, type="webauthn", data={"name": "Key", "credential": {}})
    return users | {"eve": {"key": eve.pk}}


def turn_on(name):
    user = sites.make_user(name)
    user.emailaddress_set.create(email=user.email, verified=True, primary=True)
    browser = give_password(name)
    browser.post("/reauthenticate/", {"password": sites.PASSWORD})
    secret = browser.get("/2fa/totp/activate/").context["form"].secret
    code = sites.code_now(secret)
    browser.post("/2fa/totp/activate/", {"code": code})
    codes = browser.get("/2fa/recovery-codes/").context["unused_codes"]
    assert len(codes) == 10
    return {"key": user.pk, "secret": secret, "code": code, "unused": codes, "used": []}


def use_up(name, code):
    browser = give_password(name)
    browser.post("/2fa/authenticate/", {"code": code})
    assert sites.is_signed_in(browser)
    return code


def give_password(name):
    return sites.give_password("/login/", {"login": name, "password": sites.PASSWORD})

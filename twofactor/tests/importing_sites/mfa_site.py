"""A site with django-mfa 4. With the argument `old`, it has the tables of version 3.2, from the app's migrations."""

import json
import random
import string

from twofactor.tests.importing_sites import sites
from twofactor.tests.softkey import SoftKey

LOGIN = "/login/"
ENROLL, CODES, VERIFY = "/mfa/enroll/totp/", "/mfa/recovery/codes/", "/mfa/verify/recovery_codes/"
ENROLL_KEY, VERIFY_KEY = "/mfa/enroll/webauthn/", "/mfa/verify/webauthn/"
SETTINGS = {
    "apps": ["django_mfa"],
    "middleware": ["django_mfa.middleware.MfaMiddleware"],
    "base": "{% block content %}{% endblock %}",
    "ROOT_URLCONF": "twofactor.tests.importing_sites.mfa_urls",
    "LOGIN_URL": LOGIN,
    "LOGIN_REDIRECT_URL": "/",
    "MFA_FACTORS": ["totp", "webauthn", "recovery_codes"],
    "MFA_FIDO2_RP_ID": sites.HOST,
    "MFA_SECRET_ENCRYPTION_KEYS": ["signs-what-django-mfa-keeps-" + "t" * 30],
}


def create_users(version=""):
    if version == "old":
        return create_old_rows()
    sites.migrate()
    from django_mfa.models import Authenticator

    users = sites.turn_on_long_ago_and_now(turn_on, use_up, Authenticator)
    eve = sites.make_user("eve")
    Authenticator.objects.create(user=eve, type="webauthn", data={})
    users["gus"] = add_passkey("gus", SoftKey(-8))
    users["ivy"] = add_passkey("ivy", SoftKey(flags=0, sign_count=4, step=1), turn_on=turn_on)
    return users | {"eve": {"key": eve.pk}}


def turn_on(name):
    user = sites.make_user(name)
    browser = give_password(name)
    secret = browser.get(ENROLL).context["secret_key"]
    code = sites.code_now(secret)
    browser.post(ENROLL, {"secret_key": secret, "code": code})
    codes = browser.get(CODES).context["codes"]
    assert len(codes) == 10
    return {"key": user.pk, "secret": secret, "code": code, "unused": codes, "used": []}


def use_up(name, code):
    browser = give_password(name)
    assert browser.get("/").status_code == 302
    browser.post(VERIFY, {"code": code})
    assert browser.get("/").content == b"home"
    return code


def make_user(name):
    return {"key": sites.make_user(name).pk}


def add_passkey(name, key, *, turn_on=make_user):
    """Add a passkey to a new user, and sign in with it."""
    user = turn_on(name)
    browser = give_password(name)
    if user.get("unused"):
        code = user["unused"].pop()
        browser.post(VERIFY, {"code": code})
        user["used"].append(code)
    options = json.loads(browser.get(ENROLL_KEY).context["options"])["publicKey"]
    browser.post(ENROLL_KEY, {"name": "My key", "credential": json.dumps(key.create(options, origin=sites.ORIGIN))})
    browser = give_password(name)
    options = json.loads(browser.get(VERIFY_KEY).context["options"])["publicKey"]
    browser.post(VERIFY_KEY, {"credential": json.dumps(key.get(options, origin=sites.ORIGIN))})
    assert browser.get("/").content == b"home"
    return user | {"passkey": key.dump()}


def give_password(name):
    return sites.give_password(LOGIN, {"username": name, "password": sites.PASSWORD})


def create_old_rows():
    """Write rows as the views of version 3.2 did, which does not run on a current Django."""
    from django.db import connection
    from django.db.migrations.executor import MigrationExecutor

    sites.migrate("auth")
    sites.migrate("sessions")
    sites.migrate("django_mfa", "0003")
    state = MigrationExecutor(connection).loader.project_state([("django_mfa", "0003_change_secret_code_max_length")])
    model = state.apps.get_model
    user = sites.make_user("ada")
    secret = "JBSWY3DPEHPK3PXP"  # ten bytes, as in its view
    row = model("django_mfa", "UserOTP").objects.create(user_id=user.pk, otp_type="TOTP", secret_key=secret)
    letters = string.ascii_letters + string.digits
    codes = ["".join(random.choices(letters, k=16)) for _ in range(10)]
    for code in codes[1:]:
        model("django_mfa", "UserRecoveryCodes").objects.create(user=row, secret_code=code)
    eve = sites.make_user("eve")
    model("django_mfa", "U2FKey").objects.create(user_id=eve.pk, public_key="k", key_handle="h", app_id="a")
    ada = {"key": user.pk, "secret": secret, "code": sites.code_now(secret), "unused": codes[1:], "used": codes[:1]}
    return {"ada": ada, "eve": {"key": eve.pk}}

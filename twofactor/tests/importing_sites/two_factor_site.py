"""A site with django-two-factor-auth: its wizard, its backup tokens, its sign-in."""

from twofactor.tests.importing_sites import sites

LOGIN, SETUP, TOKENS = "/account/login/", "/account/two_factor/setup/", "/account/two_factor/backup/tokens/"
APPS = ["django_otp", "django_otp.plugins.otp_totp", "django_otp.plugins.otp_static"]
APPS += ["two_factor", "two_factor.plugins.phonenumber"]


SETTINGS = {
    "apps": APPS,
    "middleware": ["django_otp.middleware.OTPMiddleware"],
    "base": "{% block content %}{% endblock %}",
    "ROOT_URLCONF": "twofactor.tests.importing_sites.two_factor_urls",
    "LOGIN_REDIRECT_URL": "/",
    "LOGIN_URL": LOGIN,
}


def create_users():
    sites.migrate()
    from django_otp.plugins.otp_totp.models import TOTPDevice

    users = sites.turn_on_long_ago_and_now(turn_on, use_up, TOTPDevice)
    eve = sites.make_user("eve")
    eve.phonedevice_set.create(name="default", number="+31201234567", method="sms")
    return users | {"eve": {"key": eve.pk}}


def turn_on(name):
    user = sites.make_user(name)
    browser = give_password(name)
    browser.get(SETUP)
    page = browser.post(SETUP, {"setup_view-current_step": "welcome"})
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


def give_password(name):
    typed = {"login_view-current_step": "auth", "auth-username": name, "auth-password": sites.PASSWORD}
    return sites.give_password(LOGIN, typed)

"""`manage.py check`: each wrong setting is reported with its own ID, and a correct one is not."""

import pytest
from allauth.account.adapter import DefaultAccountAdapter
from django.conf import settings as site
from django.core.checks import run_checks

from twofactor.account import AccountAdapter
from twofactor.checks import AFTER, HTMX_MIDDLEWARE, MIDDLEWARE, check_all
from twofactor.models import AuthenticatorApp
from twofactor.stages import VerifyStage

OTHER_KEY = f"test:{'A' * 43}="
WITHOUT_MIDDLEWARE = [name for name in site.MIDDLEWARE if name != MIDDLEWARE]


def middleware_before(name):
    place = WITHOUT_MIDDLEWARE.index(name)
    return [*WITHOUT_MIDDLEWARE[:place], MIDDLEWARE, *WITHOUT_MIDDLEWARE[place:]]


class StageOnlyAdapter(DefaultAccountAdapter):
    def get_login_stages(self):
        return [*super().get_login_stages(), "twofactor.stages.VerifyStage"]


class CustomStage(VerifyStage):
    pass


def reported_ids():
    return [message.id.removeprefix("twofactor.") for message in check_all(None)]


WRONG_SETTINGS = [
    ("E001", {"ACCOUNT_ADAPTER": "allauth.account.adapter.DefaultAccountAdapter"}),
    ("E014", {"ACCOUNT_ADAPTER": f"{__name__}.StageOnlyAdapter"}),
    ("E013", {"ROOT_URLCONF": "allauth.urls"}),
    ("E015", {"INSTALLED_APPS": [*site.INSTALLED_APPS, "allauth.headless"]}),
    ("E002", {"MIDDLEWARE": WITHOUT_MIDDLEWARE}),
    ("E018", {"MIDDLEWARE": [name for name in site.MIDDLEWARE if name != HTMX_MIDDLEWARE]}),
    *[("E003", {"MIDDLEWARE": middleware_before(name)}) for name in AFTER],
    ("E006", {"SESSION_ENGINE": "django.contrib.sessions.backends.signed_cookies"}),
    ("E007", {"TWOFACTOR_KEYS": ""}),
    ("E007", {"TWOFACTOR_KEYS": "a-key-without-an-id"}),
    ("E008", {"SECURE_SSL_REDIRECT": True}),
    ("E008", {"SECURE_HSTS_SECONDS": 60, "SESSION_COOKIE_SECURE": True}),
    ("E008", {"SECURE_HSTS_SECONDS": 60, "CSRF_COOKIE_SECURE": True}),
    ("E009", {"TWOFACTOR_DRIFT_WINDOW": 2}),
    ("E009", {"TWOFACTOR_DRIFT_WINDOW": -1}),
    *[("E016", {"DEFAULT_FROM_EMAIL": sender}) for sender in (
        "Acme, Inc. <no-reply@example.com>", "a@example.com, b@example.com", "Acme @ Home <a@example.com>",
        "Acme: a@example.com;", "Acme a@example.com", "Acme", "<>", "", "a@::1", "Acme\nBcc: <a@example.com>",
    )],
    ("E010", {"TWOFACTOR_ISSUER": "Evil: Bank"}),
    ("E010", {"TWOFACTOR_ISSUER": " "}),
    ("E011", {"TWOFACTOR_REQUIRED": "everybody"}),
    *[("E019", {"TWOFACTOR_EVENT_DAYS": days}) for days in (89, 36_501, 0, -1, "400", None)],
    ("E017", {"TWOFACTOR_SITE_URL": "", "ALLOWED_HOSTS": [".example.com", "*"], "TWOFACTOR_PASSKEYS": False}),
    *[("W020", {"TWOFACTOR_RP_ID": rp_id}) for rp_id in ("192.0.2.1", "::1")],
    ("W020", {"TWOFACTOR_SITE_URL": "http://127.0.0.1:8000", "TWOFACTOR_ORIGINS": []}),
    ("W020", {"TWOFACTOR_SITE_URL": "", "ALLOWED_HOSTS": []}),
    *[("W021", {"TWOFACTOR_ORIGINS": [origin]}) for origin in (
        "http://testserver", "https://example.com", "https://eviltestserver", "https://testserver/", "https://a@testserver",
        "testserver", "", "https://[testserver",
    )],
    ("E012", {"TWOFACTOR_ADAPTER": "nowhere.adapter.Adapter"}),
    ("E012", {"TWOFACTOR_ADAPTER": "twofactor.adapter.NoSuchThing"}),
    ("E012", {"TWOFACTOR_ADAPTER": "twofactor.adapter.current"}),
    ("E012", {"TWOFACTOR_ADAPTER": "allauth.account.adapter.DefaultAccountAdapter"}),
]  # fmt: skip


@pytest.mark.parametrize("check_id, values", WRONG_SETTINGS, ids=lambda value: value if isinstance(value, str) else "")
def test_a_wrong_setting_is_reported_alone(settings, check_id, values):
    for name, value in values.items():
        setattr(settings, name, value)
    assert reported_ids() == [check_id]


@pytest.mark.parametrize("values", [
    {"SECURE_SSL_REDIRECT": True, "SESSION_COOKIE_SECURE": True, "CSRF_COOKIE_SECURE": True},
    {"TWOFACTOR_DRIFT_WINDOW": 0},
    {"TWOFACTOR_ADAPTER": "twofactor.tests.test_adapter.ShopAdapter"},
    {"TWOFACTOR_REQUIRED": "none"}, {"TWOFACTOR_REQUIRED": "all"},
    *[{"DEFAULT_FROM_EMAIL": sender} for sender in (
        '"Acme, Inc." <no-reply@example.com>', "Acme Inc. (staging) <a@example.com>", "webmaster@localhost",
        "Zoë <zoe@exämple.com>", "=?utf-8?b?8J+UkA==?= <a@127.0.0.1>",
    )],
])  # fmt: skip
def test_valid_settings_are_not_reported(settings, values):
    for name, value in values.items():
        setattr(settings, name, value)
    assert reported_ids() == []
    assert run_checks(tags=["twofactor"]) == []


def warnings():
    return [message.id for message in run_checks(tags=["database"], databases=["default"])]


def test_a_secret_that_opens_is_not_reported(second_factor):
    assert warnings() == []


@pytest.mark.parametrize("keys", [OTHER_KEY, OTHER_KEY.replace("test:", "new:")], ids=["other key", "no such ID"])
def test_a_wrong_key_is_a_warning_with_the_database_option_only(
    second_factor, settings, django_assert_num_queries, keys
):
    settings.TWOFACTOR_KEYS = keys
    assert warnings() == ["twofactor.W007"]
    with django_assert_num_queries(0):
        assert run_checks(tags=["twofactor", "database"]) == []


def test_one_secret_is_opened_for_each_key(make_user, settings):
    for letter in "ABC":
        AuthenticatorApp.objects.activate(make_user(f"{letter}@example.com"), secret=letter * 32)
    settings.TWOFACTOR_KEYS = f"{OTHER_KEY.replace('test:', 'new:')},{settings.TWOFACTOR_KEYS}"
    AuthenticatorApp.objects.activate(make_user("d@example.com"), secret="D" * 32)
    settings.TWOFACTOR_KEYS = f"new:{'B' * 43}=,{OTHER_KEY}"
    assert len(warnings()) == 2


def test_the_check_passes_before_the_table_exists(db, monkeypatch):
    monkeypatch.setattr(AuthenticatorApp._meta, "db_table", "not_made_yet")
    assert warnings() == []


def test_an_unset_keyring_is_reported_once(second_factor, settings):
    del settings.TWOFACTOR_KEYS
    assert reported_ids() == ["E007"]
    assert warnings() == []


def test_a_report_has_a_hint_and_does_not_contain_the_key(settings):
    key = "dHdvZmFjdG9yLXRlc3RzLTMyLWJ5dGVzLWxvbmchISE="
    settings.TWOFACTOR_KEYS = f"k:{key[:-4]}"
    (message,) = check_all(None)
    assert message.hint
    assert key[:8] not in message.msg + message.hint


def test_a_subclass_of_the_stage_is_accepted(settings, monkeypatch):
    monkeypatch.setattr(AccountAdapter, "get_login_stages", lambda self: [f"{__name__}.CustomStage"])
    assert reported_ids() == []

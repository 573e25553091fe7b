"""`manage.py check`: each mistake is named by its id, and a site without mistakes by none."""

import pytest
from django.conf import settings as site
from django.core.checks import ERROR, run_checks
from django.core.management import call_command
from django.core.management.base import SystemCheckError

from twofactor.checks import AFTER, MIDDLEWARE, check_all, check_deploy
from twofactor.models import Authenticator
from twofactor.stages import VerifyStage

OTHER_KEY = f"test:{'A' * 43}="
WITHOUT_WALL = [name for name in site.MIDDLEWARE if name != MIDDLEWARE]


def wall_before(name):
    place = WITHOUT_WALL.index(name)
    return [*WITHOUT_WALL[:place], MIDDLEWARE, *WITHOUT_WALL[place:]]


class OwnStage(VerifyStage):
    """A site's own look at the stage."""


def found():
    return [message.id.removeprefix("twofactor.") for message in check_all(None)]


def test_the_site_as_it_is_has_no_mistake():
    assert found() == []


@pytest.mark.django_db
def test_django_runs_them():
    assert not [message for message in run_checks() if message.level >= ERROR]
    assert not run_checks(tags=["twofactor"])


MISTAKES = [
    ("E001", {"ACCOUNT_ADAPTER": "allauth.account.adapter.DefaultAccountAdapter"}),
    ("E014", {"ACCOUNT_FORMS": {}}),
    ("E013", {"ROOT_URLCONF": "allauth.urls"}),
    ("E015", {"INSTALLED_APPS": [*site.INSTALLED_APPS, "allauth.headless"]}),
    ("E002", {"MIDDLEWARE": WITHOUT_WALL}),
    *[("E003", {"MIDDLEWARE": wall_before(name)}) for name in AFTER],
    ("W005", {"CACHES": {"default": {"BACKEND": "django.core.cache.backends.dummy.DummyCache"}}}),
    ("E006", {"SESSION_ENGINE": "django.contrib.sessions.backends.signed_cookies"}),
    ("E007", {"TWOFACTOR_KEYS": ""}),
    ("E007", {"TWOFACTOR_KEYS": "k:short"}),
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
    ("E017", {"TWOFACTOR_SITE_URL": "", "ALLOWED_HOSTS": ["*"]}),
    ("E017", {"TWOFACTOR_SITE_URL": "", "ALLOWED_HOSTS": [".example.com", "*"]}),
    ("E012", {"TWOFACTOR_ADAPTER": "nowhere.adapter.Adapter"}),
    ("E012", {"TWOFACTOR_ADAPTER": "twofactor.adapter.NoSuchThing"}),
    ("E012", {"TWOFACTOR_ADAPTER": "twofactor.adapter.current"}),
    ("E012", {"TWOFACTOR_ADAPTER": "allauth.account.adapter.DefaultAccountAdapter"}),
]  # fmt: skip


@pytest.mark.parametrize("number, mistake", MISTAKES, ids=lambda value: value if isinstance(value, str) else "")
def test_a_mistake_is_named_and_no_other(settings, number, mistake):
    for name, value in mistake.items():
        setattr(settings, name, value)
    assert found() == [number]


@pytest.mark.parametrize("right", [
    {"ACCOUNT_FORMS": {}, "ACCOUNT_ADAPTER": "twofactor.account.AccountAdapter"},
    {"CACHES": {"default": {"BACKEND": "config.cache.RedisCache", "LOCATION": "redis://127.0.0.1"}}},
    {"SESSION_ENGINE": "django.contrib.sessions.backends.db"},
    {"SECURE_SSL_REDIRECT": True, "SESSION_COOKIE_SECURE": True, "CSRF_COOKIE_SECURE": True},
    {"TWOFACTOR_DRIFT_WINDOW": 0},
    {"TWOFACTOR_ADAPTER": "twofactor.tests.test_adapter.Shop"},
    {"TWOFACTOR_REQUIRED": "none"}, {"TWOFACTOR_REQUIRED": "all"},
    *[{"DEFAULT_FROM_EMAIL": sender} for sender in (
        '"Acme, Inc." <no-reply@example.com>', "Acme Inc. (staging) <a@example.com>", "webmaster@localhost",
        "Zoë <zoe@exämple.com>", "=?utf-8?b?8J+UkA==?= <a@127.0.0.1>",
    )],
])  # fmt: skip
def test_what_is_right_is_not_named(settings, right):
    for name, value in right.items():
        setattr(settings, name, value)
    assert found() == []


@pytest.mark.django_db
@pytest.mark.parametrize("backend, says", [("dummy.DummyCache", ["W005"]), ("locmem.LocMemCache", [])])
def test_a_cache_that_does_not_limit_stops_a_deployment_and_nothing_else(settings, backend, says):
    assert check_deploy(None) == []
    settings.CACHES = {"default": {"BACKEND": f"django.core.cache.backends.{backend}"}}
    assert found() == says
    call_command("check")
    assert [(message.id, message.level) for message in check_deploy(None)] == [("twofactor.E005", ERROR)]
    with pytest.raises(SystemCheckError, match=r"twofactor\.E005"):
        call_command("check", deploy=True)


# --- check --database -----------------------------------------------------------------------------


def warnings():
    return [message.id for message in run_checks(tags=["database"], databases=["default"])]


def test_a_secret_that_opens_is_no_warning(authenticator):
    assert warnings() == []


def test_without_a_database_no_secret_is_tried(authenticator, settings, django_assert_num_queries):
    settings.TWOFACTOR_KEYS = OTHER_KEY
    with django_assert_num_queries(0):
        assert run_checks(tags=["twofactor", "database"]) == []


def test_another_key_under_the_same_id_is_a_warning(authenticator, settings):
    settings.TWOFACTOR_KEYS = OTHER_KEY
    assert warnings() == ["twofactor.W007"]


def test_a_key_that_is_gone_is_a_warning(authenticator, settings):
    settings.TWOFACTOR_KEYS = OTHER_KEY.replace("test:", "new:")
    assert warnings() == ["twofactor.W007"]


def test_one_secret_is_tried_for_each_key(make_user, settings):
    for letter in "ABC":
        Authenticator.objects.activate(make_user(f"{letter}@example.com"), secret=letter * 32)
    settings.TWOFACTOR_KEYS = f"{OTHER_KEY.replace('test:', 'new:')},{settings.TWOFACTOR_KEYS}"
    Authenticator.objects.activate(make_user("d@example.com"), secret="D" * 32)
    settings.TWOFACTOR_KEYS = f"new:{'B' * 43}=,{OTHER_KEY}"
    assert len(warnings()) == 2


def test_the_check_is_silent_before_the_table_is_made(db, monkeypatch):
    monkeypatch.setattr(Authenticator._meta, "db_table", "not_made_yet")
    assert warnings() == []


def test_missing_keys_are_no_matter_of_the_database(authenticator, settings):
    del settings.TWOFACTOR_KEYS
    assert warnings() == []


# --- What is said ---------------------------------------------------------------------------------


def test_missing_keys_are_named(settings):
    del settings.TWOFACTOR_KEYS
    assert found() == ["E007"]


def test_every_finding_has_a_hint_and_names_no_key(settings):
    key = "dHdvZmFjdG9yLXRlc3RzLTMyLWJ5dGVzLWxvbmchISE="
    settings.TWOFACTOR_KEYS = f"k:{key[:-4]}"
    (message,) = check_all(None)
    assert message.hint
    assert key[:8] not in message.msg + message.hint


def test_a_stage_of_ones_own_that_is_a_kind_of_ours_counts(settings, monkeypatch):
    from allauth.account.adapter import DefaultAccountAdapter

    monkeypatch.setattr(DefaultAccountAdapter, "get_login_stages", lambda self: [f"{__name__}.OwnStage"])
    settings.ACCOUNT_ADAPTER = "allauth.account.adapter.DefaultAccountAdapter"
    assert found() == []

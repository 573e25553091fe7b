"""The system checks of the site."""

import pytest
from django.core.checks import run_checks

from config import errors


def message_ids(**options):
    return [message.id for message in run_checks(tags=["site"], **options)]


def test_every_message_says_what_to_do(settings, monkeypatch):
    """Its hint names a setting or a command, which docs/deploy.md explains."""
    monkeypatch.setattr(errors, "is_installed", lambda: False)
    settings.SENTRY_DSN, settings.SITE_URL, settings.SECURE_SSL_REDIRECT = "x", "https://*", True
    settings.EMAIL_BACKEND = "config.mail.TerminalBackend"
    messages = run_checks(tags=["site"], include_deployment_checks=True)
    settings.TRUSTED_PROXY_COUNT = -1
    hints = {message.id: message.hint for message in [*messages, *run_checks(tags=["site"])]}
    words = {
        "site.W001": "pip install sentry-sdk", "site.E001": "the number of your proxies", "site.E002": "Set SITE_URL",
        "site.I001": "set TRUSTED_PROXY_COUNT", "site.I002": "Set EMAIL_URL",
    }  # fmt: skip
    assert hints.keys() == words.keys()
    assert [name for name in words if words[name] not in hints[name]] == []


def test_the_site_as_it_is_has_no_mistake():
    assert message_ids(include_deployment_checks=True) == []


def test_a_sentry_dsn_without_sentry_sdk_is_a_warning(settings, monkeypatch):
    settings.SENTRY_DSN = "https://key@sentry.example/1"
    monkeypatch.setattr(errors, "is_installed", lambda: True)
    assert message_ids() == []
    monkeypatch.setattr(errors, "is_installed", lambda: False)
    assert message_ids() == ["site.W001"]


def test_the_site_starts_without_sentry_sdk(monkeypatch):
    monkeypatch.setattr(errors, "is_installed", lambda: False)
    errors.init_sentry("https://key@sentry.example/1")


@pytest.mark.parametrize("count, expected", [(-1, ["site.E001"]), (0, []), (2, [])])
def test_a_negative_proxy_count_is_an_error(settings, count, expected):
    settings.TRUSTED_PROXY_COUNT = count
    assert message_ids() == expected


@pytest.mark.parametrize("url, expected", [
    ("https://*", ["site.E002"]), ("https://*:8000", ["site.E002"]), ("accounts.example.com", ["site.E002"]),
    ("ftp://accounts.example.com", ["site.E002"]), ("https://", ["site.E002"]),
    ("https://accounts.example.com", []), ("http://127.0.0.1:8000", []), ("http://[::1]:8000", []),
])  # fmt: skip
def test_a_site_url_that_cannot_be_linked_to_is_an_error(settings, url, expected):
    settings.SITE_URL = url
    assert message_ids() == expected


def test_https_without_a_trusted_proxy_is_named_when_deploying(settings):
    settings.SECURE_SSL_REDIRECT = True
    assert message_ids() == []
    assert message_ids(include_deployment_checks=True) == ["site.I001"]
    settings.TRUSTED_PROXY_COUNT = 1
    assert message_ids(include_deployment_checks=True) == []


def test_emails_that_go_to_the_log_are_named_when_deploying(settings):
    settings.EMAIL_BACKEND = "config.mail.TerminalBackend"
    assert message_ids(include_deployment_checks=True) == ["site.I002"]
    settings.DEBUG = True
    assert message_ids(include_deployment_checks=True) == []

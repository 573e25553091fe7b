"""The system checks of the site."""

import pytest
from django.core.checks import run_checks

from config import errors


def test_every_message_says_what_to_do(settings, monkeypatch):
    """Its hint names a setting or a command, which docs/deploy.md explains."""
    monkeypatch.setattr(errors, "is_installed", lambda: False)
    settings.SENTRY_DSN, settings.SITE_URL, settings.SECURE_SSL_REDIRECT = "x", "https://*", True
    settings.EMAIL_BACKEND = "config.mail.TerminalBackend"
    messages = run_checks(tags=["site"], include_deployment_checks=True)
    settings.TRUSTED_PROXY_COUNT, settings.SECURITY_EXPIRES = -1, "soon"
    hints = {message.id: message.hint for message in [*messages, *run_checks(tags=["site"])]}
    words = {
        "site.W001": "pip install sentry-sdk", "site.E001": "the number of your proxies", "site.E002": "Set SITE_URL",
        "site.W002": "Set SECURITY_EXPIRES",
        "site.I001": "set TRUSTED_PROXY_COUNT", "site.I002": "Set EMAIL_URL",
    }  # fmt: skip
    assert hints.keys() == words.keys()
    assert [name for name in words if words[name] not in hints[name]] == []


def test_the_site_starts_without_sentry_sdk(monkeypatch):
    monkeypatch.setattr(errors, "is_installed", lambda: False)
    errors.init_sentry("https://key@sentry.example/1")


@pytest.mark.parametrize("changed, now, in_production", [
    ({}, [], []),
    ({"SENTRY_DSN": "https://key@sentry.example/1"}, ["site.W001"], ["site.W001"]),
    ({"TRUSTED_PROXY_COUNT": -1}, ["site.E001"], ["site.E001"]), ({"TRUSTED_PROXY_COUNT": 2}, [], []),
    *[({"SECURITY_EXPIRES": wrong}, ["site.W002"], ["site.W002"]) for wrong in (
        "soon", "2020-01-31", "9999-12-31T23:00:00-02:00")],
    ({"SECURITY_EXPIRES": "2999-12-31"}, [], []),
    ({"SECURE_SSL_REDIRECT": True}, [], ["site.I001"]),
    ({"SECURE_SSL_REDIRECT": True, "TRUSTED_PROXY_COUNT": 1}, [], []),
    ({"EMAIL_BACKEND": "config.mail.TerminalBackend"}, [], ["site.I002"]),
    ({"EMAIL_BACKEND": "config.mail.TerminalBackend", "DEBUG": True}, [], []),
    *[({"SITE_URL": url}, ["site.E002"], ["site.E002"]) for url in (
        "https://*", "https://*:8000", "accounts.example.com", "ftp://accounts.example.com", "https://")],
    *[({"SITE_URL": url}, [], []) for url in (
        "https://accounts.example.com", "http://127.0.0.1:8000", "http://[::1]:8000")],
])  # fmt: skip
def test_each_mistake_has_its_message(settings, monkeypatch, changed, now, in_production):
    monkeypatch.setattr(errors, "is_installed", lambda: False)
    for name, value in changed.items():
        setattr(settings, name, value)
    for options, expected in (({}, now), ({"include_deployment_checks": True}, in_production)):
        assert [message.id for message in run_checks(tags=["site"], **options)] == expected


def test_a_sentry_dsn_with_sentry_sdk_is_no_mistake(settings, monkeypatch):
    settings.SENTRY_DSN = "https://key@sentry.example/1"
    monkeypatch.setattr(errors, "is_installed", lambda: True)
    assert run_checks(tags=["site"]) == []

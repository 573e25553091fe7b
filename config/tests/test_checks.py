"""`manage.py check` names what is wrong between the site and what stands around it."""

from django.core.checks import run_checks

from config import errors


def found(**how):
    return [message.id for message in run_checks(tags=["site"], **how)]


def test_the_site_as_it_is_has_no_mistake():
    assert found(include_deployment_checks=True) == []


def test_an_address_for_errors_without_the_package_is_named(settings, monkeypatch):
    settings.SENTRY_DSN = "https://key@sentry.example/1"
    monkeypatch.setattr(errors, "is_installed", lambda: True)
    assert found() == []
    monkeypatch.setattr(errors, "is_installed", lambda: False)
    assert found() == ["site.W001"]


def test_without_the_package_the_site_starts_all_the_same(monkeypatch):
    monkeypatch.setattr(errors, "is_installed", lambda: False)
    errors.report_to("https://key@sentry.example/1")

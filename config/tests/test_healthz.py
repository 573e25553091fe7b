"""`/healthz` answers 200 if database and cache work, for every client, and creates no session."""

import pytest
from django.db import DatabaseError, connection

from twofactor.tests.helpers import new_client, sign_in

pytestmark = pytest.mark.django_db


def test_it_says_ok_when_database_and_cache_answer():
    response = new_client().get("/healthz")
    assert (response.status_code, response.content) == (200, b"ok\n")
    assert "no-store" in response["Cache-Control"]


def test_it_creates_no_session_and_no_cookie():
    client = new_client()
    client.get("/healthz")
    assert not client.cookies


@pytest.mark.parametrize("backend, location", [
    ("config.cache.RedisCache", "redis://127.0.0.1:1/0"), ("config.cache.SQLiteCache", "/nowhere/site.cache"),
    ("django.core.cache.backends.dummy.DummyCache", ""),
])  # fmt: skip
def test_it_says_503_when_the_cache_does_not_answer(settings, backend, location):
    settings.CACHES = {**settings.CACHES, "default": {"BACKEND": backend, "LOCATION": location}}
    assert new_client().get("/healthz").status_code == 503


def test_it_says_503_when_the_database_does_not_answer(monkeypatch):
    def refuse(*args, **kwargs):
        raise DatabaseError("the server is gone")

    monkeypatch.setattr(connection, "cursor", refuse)
    response = new_client().get("/healthz")
    assert response.status_code == 503
    assert b"gone" not in response.content


@pytest.mark.parametrize("host", ["10.0.0.5", "10.0.0.5:8000", "[2001:db8::7]", "a b", ""])
def test_it_answers_whatever_the_host_header_says(host, caplog):
    assert new_client().get("/healthz", headers={"Host": host}).status_code == 200
    assert new_client().get("/", headers={"Host": host}).status_code == 400
    assert [record.name for record in caplog.records] == ["django.security.DisallowedHost"]  # from the second request


def test_it_allows_head():
    assert new_client().head("/healthz").status_code == 200


@pytest.mark.parametrize("method", ["post", "put", "delete"])
def test_it_allows_no_other_method(method):
    assert getattr(new_client(), method)("/healthz").status_code == 405


def test_it_answers_staff_without_2fa_and_htmx(make_user):
    client = sign_in(new_client(), make_user(is_staff=True))
    assert client.get("/healthz").status_code == 200
    assert new_client(htmx=True).get("/healthz").content == b"ok\n"

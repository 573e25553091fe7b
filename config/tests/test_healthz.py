"""`/healthz` answers 200 if the database answers, for every client, and creates no session."""

import pytest
from django.db import DatabaseError, InterfaceError, OperationalError, connection

from twofactor.tests.helpers import new_client, sign_in

pytestmark = pytest.mark.django_db


def test_it_says_ok_to_every_client_and_creates_no_session(make_user):
    client = new_client()
    response = client.get("/healthz")
    assert (response.status_code, response.content) == (200, b"ok\n")
    assert "no-store" in response["Cache-Control"]
    assert not client.cookies
    assert client.head("/healthz").status_code == 200
    assert client.post("/healthz").status_code == 405
    assert sign_in(new_client(htmx=True), make_user(is_staff=True)).get("/healthz").content == b"ok\n"


@pytest.mark.parametrize("error", [DatabaseError, InterfaceError, OperationalError])
def test_it_says_503_when_the_database_does_not_answer(monkeypatch, error):
    def refuse(*args, **kwargs):
        raise error("the server is gone")

    monkeypatch.setattr(connection, "cursor", refuse)
    response = new_client().get("/healthz")
    assert response.status_code == 503
    assert b"gone" not in response.content


@pytest.mark.parametrize("host", ["10.0.0.5:8000", "[2001:db8::7]", "a b", ""])
def test_it_answers_whatever_the_host_header_says(host, caplog):
    assert new_client().get("/healthz", headers={"Host": host}).status_code == 200
    assert new_client().get("/", headers={"Host": host}).status_code == 400
    assert [record.name for record in caplog.records] == ["django.security.DisallowedHost"]  # from the second request

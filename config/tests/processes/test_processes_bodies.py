"""Request bodies that are too long, too slow or incomplete, over real sockets."""

import secrets
import socket
from contextlib import ExitStack, suppress

from twofactor.tests.constants import LOGIN, SETTINGS
from twofactor.tests.journeys import is_signed_in, post, redirect_target, visible_text

TOKEN = "t" * 32  # for CSRF checks, in cookie and body: without it, the body of a form is not read
BODY = f"csrfmiddlewaretoken={TOKEN}&login=ada%40example.com&password=x".encode()


def send_half(site):
    """Send the first half of a form, with a session cookie that no session has."""
    connection = socket.create_connection(("127.0.0.1", site.port), timeout=30)
    head = (
        f"POST {LOGIN} HTTP/1.1\r\nHost: 127.0.0.1:{site.port}\r\nContent-Type: application/x-www-form-urlencoded\r\n"
        f"Content-Length: {len(BODY)}\r\nCookie: csrftoken={TOKEN}; sessionid={secrets.token_hex(16)}\r\n\r\n"
    )
    connection.sendall(head.encode() + BODY[:10])
    return connection


def status(connection):
    """Return the status of the response, or nothing if the server closed the connection."""
    with suppress(ConnectionError):
        return connection.recv(1000).partition(b" ")[2][:3]
    return b""


def test_a_body_of_ten_megabytes_gets_a_readable_413(sqlite_site):
    client = sqlite_site.client()
    for _ in range(3):
        page = post(client, LOGIN, {"login": "x" * 10_000_000})
        assert page.status_code == 413
        assert "Request too large" in visible_text(page)


def test_forty_slow_bodies_hold_no_database_connection(site):
    user = site.make_user()
    with ExitStack() as stack:
        slow = [stack.enter_context(send_half(site)) for _ in range(40)]
        client = site.signed_in(user, code=user.code())
        assert is_signed_in(client)
        for connection in slow:
            connection.sendall(BODY[10:])
        assert {status(connection) for connection in slow} == {b"422", b"429"}


def test_a_body_that_ends_early_is_refused_and_is_no_error_in_the_log(sqlite_site):
    site = sqlite_site
    before = len(site.log_text())
    for _ in range(4):
        with send_half(site):
            """Close the connection."""
    for _ in range(4):
        with send_half(site) as connection:
            connection.shutdown(socket.SHUT_WR)
            assert status(connection) in (b"400", b"")
    assert site.client().get("/healthz").status_code == 200
    assert "ERROR" not in site.log_text()[before:]
    assert "Traceback" not in site.log_text()[before:]


def test_a_session_cookie_of_any_length_is_no_session(site):
    for length in (1, 32, 40, 41, 4_000, 60_000):
        page = site.client().get(SETTINGS, headers={"Cookie": f"sessionid={'a' * length}"})
        assert (page.status_code, redirect_target(page).partition("?")[0]) == (302, LOGIN)

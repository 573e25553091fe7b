"""Slow clients, and clients that stop in the middle of a request, do not block others."""

import socket
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from config.tests.processes.running_site import LOGIN, Browser, Site

pytest_plugins = ["config.tests.processes.running_site"]
# The server has 64 threads. SOME is less than half of them, for clients that occupy a thread.
MANY = 200
SOME = 30
HEAD = "Host: 127.0.0.1\r\nX-Forwarded-For: 198.18.255.1\r\n"
FORM = f"Content-Type: application/x-www-form-urlencoded\r\nCookie: csrftoken={'t' * 32}\r\nContent-Length: 1000\r\n"
SLOW = {
    "say nothing": ("", MANY),
    "stop in the first line": ("GET / HT", MANY),
    "stop in the headers": (f"GET {LOGIN} HTTP/1.1\r\n{HEAD}X-Half: ", MANY),
    "never end a form": (f"POST {LOGIN} HTTP/1.1\r\n{HEAD}{FORM}\r\ncsrfmiddlewaretoken={'t' * 32}&login=a", SOME),
    "never read the answer": (f"GET {LOGIN} HTTP/1.1\r\n{HEAD}\r\n", MANY),
}


@pytest.fixture
def slow(sqlite_site: Site, request: pytest.FixtureRequest) -> Iterator[None]:
    """Clients that send this and then wait."""
    sent, count = SLOW[request.param]
    with ExitStack() as open_ones:
        for _ in range(count):
            client = open_ones.enter_context(socket.create_connection(("127.0.0.1", sqlite_site.port), timeout=10))
            client.sendall(sent.encode())
        yield


@pytest.mark.parametrize("slow", SLOW, indirect=True)
def test_users_can_sign_in_while_many_clients_stall(sqlite_site: Site, slow: None) -> None:
    user = sqlite_site.make_user()
    browser = Browser(sqlite_site)
    browser.timeout = 10
    assert browser.get("/healthz").status == 200
    browser.sign_in(user, code=user.code())

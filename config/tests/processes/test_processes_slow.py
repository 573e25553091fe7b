"""Slow clients, and clients that stop in the middle of a request, do not block others."""

import socket
from contextlib import ExitStack

import pytest

from config.tests.processes.running_site import Site
from twofactor.tests.journeys import LOGIN

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


@pytest.mark.parametrize("sent, count", SLOW.values(), ids=SLOW)
def test_users_can_sign_in_while_many_clients_stall(sqlite_site: Site, sent: str, count: int) -> None:
    user = sqlite_site.make_user()
    with ExitStack() as open_ones:
        for _ in range(count):
            client = open_ones.enter_context(socket.create_connection(("127.0.0.1", sqlite_site.port), timeout=10))
            client.sendall(sent.encode())
        assert sqlite_site.client().get("/healthz", timeout=10).status_code == 200
        sqlite_site.signed_in(user, code=user.code())

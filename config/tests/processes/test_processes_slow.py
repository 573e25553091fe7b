"""Slow clients, and clients that stop in the middle of a request, do not block others."""

import socket
from contextlib import ExitStack

import pytest

from twofactor.tests.constants import LOGIN

# The server has 64 threads. Forms that never end are in test_processes_bodies.py.
MANY = 200
HEAD = "Host: 127.0.0.1\r\nX-Forwarded-For: 198.18.255.1\r\n"
SLOW = {
    "say nothing": "",
    "stop in the first line": "GET / HT",
    "stop in the headers": f"GET {LOGIN} HTTP/1.1\r\n{HEAD}X-Half: ",
    "never read the answer": f"GET {LOGIN} HTTP/1.1\r\n{HEAD}\r\n",
}


@pytest.mark.parametrize("sent", SLOW.values(), ids=SLOW)
def test_users_can_sign_in_while_many_clients_stall(sqlite_site, sent):
    user = sqlite_site.make_user()
    with ExitStack() as open_ones:
        for _ in range(MANY):
            client = open_ones.enter_context(socket.create_connection(("127.0.0.1", sqlite_site.port), timeout=10))
            client.sendall(sent.encode())
        assert sqlite_site.client().get("/healthz", timeout=10).status_code == 200
        sqlite_site.signed_in(user, code=user.code())

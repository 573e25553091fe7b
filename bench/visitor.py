"""A simulated browser: cookies, keep-alive, redirects, and a count of the bytes it receives."""

import http.client
import itertools
import re
import secrets
import socket
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode, urlsplit

ASSET = re.compile(r"""(?:href|src)="(/static/[^"]+)\"""")
SECRET = re.compile(r"(?<![A-Z2-7])[A-Z2-7]{32}(?![A-Z2-7])")
REDIRECTS_AT_MOST = 5
_numbers = itertools.count(1)


class CountedSocket(socket.socket):
    received = 0

    def recv_into(self, *args: Any, **kwargs: Any) -> int:
        got = super().recv_into(*args, **kwargs)
        self.received += got
        return got


class Connection(http.client.HTTPConnection):
    sock: CountedSocket

    def connect(self) -> None:
        self.sock = CountedSocket()
        self.sock.settimeout(self.timeout)
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.sock.connect((self.host, self.port))


@dataclass
class Page:
    """The page after all redirects."""

    path: str
    status: int
    text: str

    @property
    def secret(self) -> str:
        """The secret that the page shows."""
        found = SECRET.search(self.text)
        if not found:
            raise Unexpected(self)
        return found[0]

    def expect(self, path: str, *, status: int = 200, text: str = "") -> "Page":
        """Return this page. Raise Unexpected if it has another path or status, or does not contain the text."""
        if (self.path.partition("?")[0], self.status) != (path, status) or text not in self.text:
            raise Unexpected(self)
        return self


class Unexpected(Exception):
    def __init__(self, page: Page) -> None:
        text = " ".join(re.sub("<[^>]*>", " ", page.text).split())
        super().__init__(f"{page.status} {page.path}: {text[:300]}")


class Visitor:
    """A browser with its own IP address. It counts its requests in `requests`, and bytes in `received`."""

    def __init__(self, port: int, *, session: str = "", htmx: bool = False, cold: bool = False) -> None:
        number = next(_numbers)
        self.connection = Connection("127.0.0.1", port, timeout=120)
        self.address = f"198.{18 + number // 62_500 % 2}.{number // 250 % 250}.{number % 250 + 1}"
        # Django accepts any token that is the same in the cookie and in the form.
        self.cookies = {"csrftoken": secrets.token_hex(16)} | ({"sessionid": session} if session else {})
        self.htmx, self.cold = htmx, cold
        self.requests = self.received = 0
        self.cached: set[str] = set()

    def get(self, path: str, *, htmx: bool = False) -> Page:
        """Open a page, or with `htmx` load a panel into the current page."""
        return self._visit("GET", path, None, htmx=htmx)

    def post(self, path: str, fields: Mapping[str, str]) -> Page:
        """Post a form, over htmx if this visitor uses it."""
        body = urlencode({"csrfmiddlewaretoken": self.cookies["csrftoken"], **fields}).encode()
        return self._visit("POST", path, body, htmx=self.htmx)

    def close(self) -> None:
        self.connection.close()

    def _visit(self, method: str, path: str, body: bytes | None, *, htmx: bool) -> Page:
        for _ in range(REDIRECTS_AT_MOST):
            response, text = self._send(method, path, body, htmx=htmx)
            target = response.headers.get("HX-Redirect") or response.headers.get("Location")
            if not target:
                page = Page(path, response.status, text)
                self._load_assets(page)
                return page
            parts = urlsplit(target)
            method, body, htmx = "GET", None, False
            path = parts.path + (f"?{parts.query}" if parts.query else "")
        raise Unexpected(Page(path, 310, "too many redirects"))

    def _send(self, method: str, path: str, body: bytes | None, *, htmx: bool) -> tuple[http.client.HTTPResponse, str]:
        headers = {
            "Accept": "text/html",
            "Accept-Encoding": "gzip, br",
            "Cookie": "; ".join(f"{name}={value}" for name, value in self.cookies.items()),
            "User-Agent": "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0",
            "X-Forwarded-For": self.address,
        }
        headers |= {"HX-Request": "true"} if htmx else {}
        headers |= {"Content-Type": "application/x-www-form-urlencoded"} if body else {}
        self.connection.request(method, path, body, headers)
        socket_ = self.connection.sock
        before = socket_.received
        response = self.connection.getresponse()
        content = response.read()
        self.received += socket_.received - before
        self.requests += 1
        for line in response.headers.get_all("Set-Cookie", []):
            name, _, value = line.partition(";")[0].partition("=")
            if value in ("", '""'):
                self.cookies.pop(name, None)
            else:
                self.cookies[name] = value
        return response, content.decode("utf-8", "replace")

    def _load_assets(self, page: Page) -> None:
        """With an empty cache, load the page's static files. They are not counted as requests."""
        for path in ASSET.findall(page.text) if self.cold else ():
            if path not in self.cached:
                self.cached.add(path)
                self._send("GET", path, None, htmx=False)
                self.requests -= 1

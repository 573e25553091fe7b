"""A simulated browser: cookies, keep-alive, redirects, and a count of the bytes it receives."""

import html
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import httpx

from twofactor.tests.journeys import NO_CERTIFICATES, new_client, redirect_target

ASSET = re.compile(r"""(?:href|src)="(/static/[^"]+)\"""")
SECRET = re.compile(r"(?<![A-Z2-7])([A-Z2-7]{32})(?![A-Z2-7])")
OPTIONS = re.compile(r'data-options="([^"]+)"')
CEREMONY = re.compile(r'name="ceremony" value="([^"]+)"')
REDIRECTS_AT_MOST = 5
HTMX = {"HX-Request": "true"}
HEADERS = {
    "Accept": "text/html",
    "Accept-Encoding": "gzip, br",
    "User-Agent": "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0",
}


@dataclass
class Page:
    """The page after all redirects."""

    path: str
    status: int
    text: str

    @property
    def secret(self) -> str:
        """The secret that the page shows."""
        return self._find(SECRET)

    @property
    def options(self) -> dict[str, Any]:
        """What the page asks the browser for a passkey."""
        options: dict[str, Any] = json.loads(self._find(OPTIONS))["publicKey"]
        return options

    @property
    def ceremony(self) -> str:
        """The token of the page's challenge for a passkey."""
        return self._find(CEREMONY)

    def _find(self, pattern: re.Pattern[str]) -> str:
        found = pattern.search(self.text)
        if not found:
            raise Unexpected(self)
        return html.unescape(found[1])

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
        cookies = {"sessionid": session} if session else {}
        keep_alive = httpx.HTTPTransport(verify=NO_CERTIFICATES)
        self.origin = f"http://localhost:{port}"  # passkeys need a domain
        self.client = new_client(self.origin, cookies=cookies, transport=keep_alive)
        self.client.headers.update(HEADERS)
        self.htmx, self.cold = htmx, cold
        self.requests = self.received = 0
        self.cached: set[str] = set()

    def get(self, path: str, *, htmx: bool = False) -> Page:
        """Open a page, or with `htmx` load a panel into the current page."""
        return self._show(path, self.client.get(path, headers=HTMX if htmx else None))

    def post(self, path: str, fields: Mapping[str, str]) -> Page:
        """Post a form, over htmx if this visitor uses it."""
        data = {"csrfmiddlewaretoken": self.client.cookies["csrftoken"], **fields}
        return self._show(path, self.client.post(path, data=data, headers=HTMX if self.htmx else None))

    def close(self) -> None:
        self.client.close()

    def _show(self, path: str, response: httpx.Response) -> Page:
        """Follow the redirects, count the responses, and load the static files of the last one."""
        for _ in range(REDIRECTS_AT_MOST):
            self.requests += 1
            self.received += size_of(response)
            target = redirect_target(response)
            if not target:
                self._load_assets(response)
                return Page(path, response.status_code, response.text)
            path = self.client.base_url.join(target).raw_path.decode()
            response = self.client.get(path)
        raise Unexpected(Page(path, 310, "too many redirects"))

    def _load_assets(self, response: httpx.Response) -> None:
        """With an empty cache, load the page's static files. They are not counted as requests."""
        for path in ASSET.findall(response.text) if self.cold else ():
            if path not in self.cached:
                self.cached.add(path)
                self.received += size_of(self.client.get(path))


def size_of(response: httpx.Response) -> int:
    """Return how many bytes the response has: its status line, its headers, and its body as it was sent."""
    head = len(f"HTTP/1.1 {response.status_code} {response.reason_phrase}\r\n\r\n")
    head += sum(len(name) + len(value) + len(": \r\n") for name, value in response.headers.raw)
    return head + response.num_bytes_downloaded

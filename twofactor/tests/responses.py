"""The content of responses and the errors of forms."""

import re
from html import unescape
from html.parser import HTMLParser
from typing import Any

from twofactor.tests.constants import BACKUP_CODE


def error_codes(form: Any) -> dict[str, list[str]]:
    return {name: [error.code for error in each] for name, each in form.errors.as_data().items()}


def errors(response: Any) -> dict[str, list[str]]:
    """Return the error codes of the response's form, by field."""
    form = response.context["form"]
    assert response.status_code == getattr(form, "status", response.status_code)  # allauth's forms have none
    return error_codes(form)


def redirect_target(response: Any) -> str:
    """Return the URL of a redirect or an HX-Redirect, or "" for any other response."""
    if response.status_code == 204:
        return response["HX-Redirect"]
    return response["Location"] if 300 <= response.status_code < 400 else ""


def is_full_page(response: Any) -> bool:
    return b"<html" in response.content


def backup_codes_on(response: Any) -> list[str]:
    return list(dict.fromkeys(BACKUP_CODE.findall(response.content.decode())))


class _Inputs(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.found: dict[str, dict[str, str | None]] = {}

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        named = dict(attrs)
        if tag == "input" and (name := named.get("name")):
            self.found[name] = named


def inputs(response: Any) -> dict[str, dict[str, str | None]]:
    """Return the named inputs of the page with their attributes."""
    parser = _Inputs()
    parser.feed(response.content.decode())
    return parser.found


def method_links(response: Any) -> list[str]:
    """Return the URLs of the links to other methods, in their order on the page."""
    return [unescape(url) for url in re.findall(r'class="tf-toggle"\s+href="([^"]*)"', response.content.decode())]


def message_levels(response: Any) -> list[str]:
    return [message.level_tag for message in response.context["messages"]]


def messages_on(response: Any) -> list[str]:
    return [str(message) for message in response.context["messages"]]


def key_shown(response: Any) -> str | None:
    """Return the key on the setup page without its spaces, or None."""
    return response.context["key"].replace(" ", "") if response.context.get("key") else None

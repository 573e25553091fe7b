"""Every mail is text and HTML that say the same, in the reader's language, and nothing in it comes from elsewhere."""

from html.parser import HTMLParser
from pathlib import Path

import pytest
from allauth.account.adapter import get_adapter
from allauth.core import context
from django.conf import settings as site
from django.core.mail import EmailMultiAlternatives
from django.utils import timezone, translation

from config.mail import TerminalBackend
from twofactor.tests.test_events import TELL

ALLAUTHS = sorted(
    path.name.removesuffix("_message.txt")
    for path in Path(site.BASE_DIR, "templates", "account", "email").glob("*_message.txt")
    if not path.name.startswith("base_")
)
ODD = 'Mozilla/5.0 <b onclick="x">&amp; https://evil.example/'
LINKS = {
    "activate_url": "/confirm/k3y/",
    "password_reset_url": "/reset/k3y/",
    "reject_url": "/confirm/k3y/not-me/",
    "signup_url": "/signup/",
}


class Reader(HTMLParser):
    """What an HTML mail says, by where it says it: `h1`, `button`, or the rest; and all of its tags and links."""

    def __init__(self, html):
        super().__init__()
        self.tags, self.links, self.said, self.place = [], [], {"h1": [], "button": [], "rest": []}, None
        self.feed(html)

    def handle_starttag(self, tag, attrs):
        attributes = dict(attrs)
        self.tags.append((tag, attributes))
        if tag == "a":
            self.links.append(attributes["href"])
        if tag in {"body", "h1"} or attributes.get("class") == "button":
            self.place = {"body": "rest", "h1": "h1", "a": "button"}[tag]

    def handle_endtag(self, tag):
        if self.place and tag in {"a", "h1"}:
            self.place = "rest"

    def handle_data(self, data):
        if self.place:
            self.said[self.place] += data.split()


def html_of(message):
    assert message.content_subtype == "plain"
    (part,) = message.alternatives
    assert part.mimetype == "text/html"
    return part.content


@pytest.fixture
def request_(rf):
    request = rf.get("/", REMOTE_ADDR="192.0.2.7", headers={"User-Agent": ODD})
    with context.request_context(request):
        yield request


@pytest.fixture
def mails(user, authenticator, request_, mails_to):
    """One of each mail that the site can send, by name."""
    for tell in TELL.values():
        tell(request_, user)
    details = {name: f"http://testserver{path}" for name, path in LINKS.items()}
    details |= {"timestamp": timezone.now(), "ip": "192.0.2.7", "user_agent": ODD, "user": user}
    details |= {"from_email": "o'hara&co@example.com", "to_email": user.email, "deleted_email": "gone@example.com"}
    for name in ALLAUTHS:
        get_adapter().send_mail(f"account/email/{name}", user.email, dict(details))
    return {message.subject: message for message in mails_to(user.email)}


def test_there_is_one_of_each(mails):
    assert len(ALLAUTHS) == 10
    assert len(mails) == len(ALLAUTHS) + len(TELL)


def test_html_says_what_the_text_says(mails):
    for subject, message in mails.items():
        said = Reader(html_of(message)).said
        assert (said["h1"], said["rest"]) == (subject.split(), message.body.split())


def test_a_link_of_the_text_is_a_button_and_a_link_and_no_other_address_is_one(mails):
    for subject, message in mails.items():
        html = Reader(html_of(message))
        urls = [line for line in message.body.splitlines() if line.startswith("http://testserver/")]
        assert len(urls) <= 2
        assert html.links == urls[:1] * 2 + urls[1:], subject
        assert bool(html.said["button"]) is bool(urls), subject
    assert sum(bool(Reader(html_of(message)).links) for message in mails.values()) == len(TELL) + 5


def test_html_fetches_nothing_and_runs_nothing(mails):
    for message in mails.values():
        html = html_of(message)
        tags = Reader(html).tags
        assert not {tag for tag, _ in tags} & {"img", "link", "script", "iframe", "form", "object", "svg", "b"}
        assert not {name for _, attributes in tags for name in attributes if name.startswith("on") or name == "src"}
        assert "url(" not in html
        assert "@import" not in html


def test_what_strangers_send_is_escaped(mails):
    odd = [html_of(message) for message in mails.values() if ODD in message.body]
    assert len(odd) == 5
    assert all("&lt;b onclick=&quot;x&quot;&gt;&amp;amp; https://evil.example/" in html for html in odd)
    (changed,) = [message for message in mails.values() if "o'hara&co@example.com" in message.body]
    assert "o&#x27;hara&amp;co@example.com" in html_of(changed)


@pytest.mark.parametrize("language, direction", [("en", "ltr"), ("de", "ltr"), ("ar", "rtl")])
def test_html_says_its_language_and_direction(user, authenticator, request_, mails_to, language, direction):
    user.language = language
    TELL["turned_on"](request_, user)
    with translation.override(language):
        words = translation.gettext("Open your settings")
    (message,) = mails_to(user.email)
    html = Reader(html_of(message))
    assert html.tags[0] == ("html", {"lang": language, "dir": direction})
    assert " ".join(html.said["button"]) == words
    assert (words == "Open your settings") is (language == "en")


def test_in_the_terminal_a_mail_is_its_text(capsys):
    message = EmailMultiAlternatives(
        "Confirm your address", "Open this:\nhttps://2fa.example/k3y/\n", to=["ada@example.com"]
    )
    message.attach_alternative("<p>Open this</p>", "text/html")
    TerminalBackend().send_messages([message])
    shown = capsys.readouterr().out
    assert shown.startswith(
        "To: ada@example.com\nSubject: Confirm your address\n\nOpen this:\nhttps://2fa.example/k3y/\n"
    )
    assert "<p>" not in shown

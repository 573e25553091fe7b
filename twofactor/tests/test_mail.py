"""Emails: who is greeted by name, and what a template of a host can replace."""

import pytest
from allauth.account.models import EmailAddress

from twofactor import mail
from twofactor.tests.test_events import FIREFOX

TURNED_ON = "twofactor/email/turned_on.html"
CONTEXT = {"site_name": "Shop", "when": None}


def test_only_a_verified_address_of_the_user_is_greeted_by_name(user, make_user, emails_to):
    """Anyone can sign up with the address of another person, and type any text as their own name."""
    bob = make_user("bob@example.com")
    EmailAddress.objects.create(user=user, email="second@example.com", verified=True)
    EmailAddress.objects.create(user=user, email="unverified@example.com", verified=False)
    to = ["Ada@example.com", "second@example.com", "unverified@example.com", bob.email, "nobody@example.com"]
    mail.send(TURNED_ON, CONTEXT, user=user, to=to)
    mail.send(TURNED_ON, CONTEXT, user=None, to=to[:1])
    first_lines = [message.body.splitlines()[0] for address in to for message in emails_to(address)]
    assert first_lines == ["Hello Ada,", "Hello,", "Hello Ada,", "Hello,", "Hello,", "Hello,"]


def test_a_site_that_verifies_no_addresses_greets_nobody_by_name(user, emails_to, settings):
    settings.ACCOUNT_EMAIL_VERIFICATION = "none"
    EmailAddress.objects.update(verified=False)
    mail.send(TURNED_ON, CONTEXT, user=user)
    (message,) = emails_to(user.email)
    assert message.body.startswith("Hello,\n")


def test_the_browser_is_described_in_the_language_of_the_user(user, emails_to):
    user.language = "ar"
    mail.send(TURNED_ON, {**CONTEXT, "when": user.date_joined, "user_agent": FIREFOX}, user=user)
    (message,) = emails_to(user.email)
    assert "Firefox على Linux" in message.body


@pytest.fixture
def template_of_a_host(tmp_path, settings):
    lines = [
        "{% extends 'twofactor/email/event.html' %}",
        "{% block subject %}\n  Order\n  shipped\n{% endblock %}",
        "{% block lead %}First.\n\n\n\nSecond.{% endblock %}",
        "{% block facts %}Parcel: {{ parcel }}\nWeight: 1 kg{% endblock %}",
        "{% block action %}\n  Follow it\n{% endblock %}",
    ]
    (tmp_path / "order.html").write_text("\n".join(lines))
    (engine,) = settings.TEMPLATES
    settings.TEMPLATES = [{**engine, "DIRS": [tmp_path]}]
    return "order.html"


def test_a_template_can_replace_each_block_on_one_line_or_on_several(template_of_a_host, user, emails_to):
    mail.send(template_of_a_host, {**CONTEXT, "when": user.date_joined, "url": "https://x", "parcel": "<5>"}, user=user)
    (message,) = emails_to(user.email)
    assert message.subject == "Order shipped · Shop"
    assert "\n\nFirst.\n\nSecond.\n\nParcel: <5>\nWeight: 1 kg\n\n" in message.body
    assert "\n\nFollow it\n\nhttps://x\n\n" in message.body
    html = message.alternatives[0].content
    assert "First.<br>" in html
    assert "Parcel: &lt;5&gt;<br>Weight: 1 kg\n" in html
    assert "When:" not in html

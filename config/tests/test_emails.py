"""Emails: text and HTML have the same content, in the recipient's language, and load nothing from another site."""

import email
import email.policy
import logging
import re
from html import unescape
from pathlib import Path

import allauth.account
import pytest
from allauth.account.models import EmailAddress
from django.conf import settings as site
from django.core import mail
from django.core.cache import cache
from django.db import transaction
from django.db.models import Value
from django.db.models.functions import Concat
from django.template import engines
from django.test import RequestFactory
from django.test.signals import template_rendered
from django.utils import translation

from accounts.models import User
from accounts.tests.test_admin import NEW, NEW_PASSWORD, password_page, step_up
from accounts.tests.test_staff import change
from twofactor import events
from twofactor.backup_codes import KEYED
from twofactor.models import AuthenticatorApp, BackupCode, SecondFactor
from twofactor.tests.constants import EMAIL, PASSWORD, REAUTHENTICATE, SECRET
from twofactor.tests.helpers import new_client, sign_in, sign_in_with_2fa
from twofactor.tests.responses import redirect_target
from twofactor.tests.rows import run_on_commit
from twofactor.tests.test_events import RECORD

RESET = "/accounts/password/reset/"
NAME = "Grace <b>Hopper"
SECOND_ADDRESS = "second@example.com"
BUTTON = '<a[^>]*class="button".*?</a>'
PREHEADER, HEADER, TITLE = '<div class="preheader".*?</div>', '<table class="header".*?</table>', "<h1.*?</h1>"
UNTRUSTED_AGENT = 'Mozilla/5.0 (X11; Linux x86_64) Firefox/140.0 <b onclick="x">&amp; https://evil.example/'


# --- What causes each email -----------------------------------------------------------------------


def sign_up(browser, email):
    browser.post("/accounts/signup/", {"full_name": NAME, "email": email, "password1": PASSWORD})


def change_addresses(browser, user, **action):
    sign_in(browser, user)
    browser.post(REAUTHENTICATE, {"password": PASSWORD})
    browser.post(EMAIL, {"email": SECOND_ADDRESS, **action})


def change_a_second_address(browser, user, **action):
    EmailAddress.objects.create(user=user, email=SECOND_ADDRESS, verified=True)
    change_addresses(browser, user, **action)


def change_password(browser, user):
    sign_in(browser, user)
    browser.post("/accounts/password/change/", {"oldpassword": PASSWORD, "password1": NEW_PASSWORD})


def delete_account(browser, user):
    sign_in(browser, user)
    browser.post("/accounts/delete/", {"password": PASSWORD})


def set_password(browser, user):
    user.set_unusable_password()
    user.save()
    browser.force_login(user)
    browser.post("/accounts/password/set/", {"password1": NEW_PASSWORD})


def reset_password(browser, user):
    browser.post(RESET, {"email": user.email})
    run_on_commit()
    (link,) = re.findall(r"https?://[^/]+(\S+/password/reset/key/\S+)", mail.outbox[-1].body)
    browser.post(redirect_target(browser.get(link)), {"password1": NEW_PASSWORD})


def superuser_client():
    client = sign_in_with_2fa(User.objects.create_superuser("root@example.com", PASSWORD, full_name="Root"))
    step_up(client)
    return client


def send_event(browser, user, event, **details):
    AuthenticatorApp.objects.activate(user, secret=SECRET)
    event(RequestFactory().get("/", REMOTE_ADDR="192.0.2.7", headers={"User-Agent": UNTRUSTED_AGENT}), user, **details)


def after_import(request, user):
    """Lock an account whose backup codes were imported from another app."""
    BackupCode.objects.filter(second_factor__user=user).update(digest=Concat(Value(KEYED), "digest"))
    events.locked(request, SecondFactor.objects.get(user=user))


# By the email's template and, where its words depend on the cause, by the cause.
CAUSES = {
    "account_deleted": delete_account,
    "account_deleted by staff": lambda browser, user: superuser_client().post(
        f"/admin/accounts/user/{user.pk}/delete/", {"post": "yes"}
    ),
    "account_already_exists": lambda browser, user: sign_up(browser, user.email),
    "email_changed": lambda browser, user: change_a_second_address(browser, user, action_primary="1"),
    "email_changed by staff": lambda browser, user: change(
        superuser_client(), user, SECOND_ADDRESS, full_name=user.full_name
    ),
    "email_confirmation": lambda browser, user: change_addresses(browser, user, action_add="1"),
    "email_confirmation_signup": lambda browser, user: sign_up(browser, "bob@example.com"),
    "email_deleted": lambda browser, user: change_a_second_address(browser, user, action_remove="1"),
    "password_changed": change_password,
    "password_changed by staff": lambda browser, user: superuser_client().post(password_page(user), NEW),
    "password_reset": reset_password,
    "password_reset_key": lambda browser, user: browser.post(RESET, {"email": user.email}),
    "password_set": set_password,
    "unknown_account": lambda browser, user: browser.post(RESET, {"email": "nobody@example.com"}),
    **{kind: lambda browser, user, event=event: send_event(browser, user, event) for kind, event in RECORD.items()},
    "locked after an import": lambda browser, user: send_event(browser, user, after_import),
    "reset_by_staff from the shell": lambda browser, user: events.reset_by_staff(None, user, reason="lost"),
    "wrong_codes while signed in": lambda browser, user: send_event(
        browser, user, lambda request, user: events.wrong_codes(request, user.second_factor, signed_in=True)
    ),
}


def send_each(make_user, email, name):
    """Send the email of each cause. Yield the cause, the email, and the name if the address is verified."""
    for cause, trigger in CAUSES.items():
        cache.clear()
        with transaction.atomic():
            user = make_user(email, full_name=name)
            trigger(new_client(HTTP_USER_AGENT=UNTRUSTED_AGENT, REMOTE_ADDR="192.0.2.7"), user)
            run_on_commit()
            message = mail.outbox[-1]
            verified = EmailAddress.objects.filter(user=user, email=message.to[0], verified=True)
            name_now = verified.values_list("user__full_name", flat=True).first()
            yield cause, message, name if cause.startswith("account_deleted") else name_now
            transaction.set_rollback(True)


# --- Text and HTML --------------------------------------------------------------------------------


def html_of(message):
    assert message.content_subtype == "plain"
    (part,) = message.alternatives
    assert part.mimetype == "text/html"
    return part.content


def words(html):
    return unescape(re.sub("<[^>]*>", " ", html)).split()


def assert_html_says_the_same(message):
    """The HTML adds a preheader, the name of the site at the top, and the title.

    The first link of the text is a button and a link. The second one is a link without its URL.
    """
    body = html_of(message).partition("<body")[2].partition(">")[2]
    (preheader,), (header,), (title,) = (re.findall(part, body, re.DOTALL) for part in (PREHEADER, HEADER, TITLE))
    lead = " ".join(words(preheader.replace("&zwnj;", "")))
    assert " ".join(message.body.split()).partition(",")[2].startswith(f" {lead}")
    assert words(header)[1:] == site.TWOFACTOR_ISSUER.split()
    assert [*words(title), "·", *site.TWOFACTOR_ISSUER.split()] == message.subject.split()
    urls = [line for line in message.body.splitlines() if line.startswith("http://testserver/")]
    assert len(urls) <= 2
    said = [word for word in message.body.split() if word not in urls[1:]]
    assert words(re.sub(f"{PREHEADER}|{HEADER}|{TITLE}", "", body, flags=re.DOTALL)) == said
    links = [unescape(url) for url in re.findall('<a[^>]* href="([^"]*)"', body)]
    assert links == [*urls[:1] * 2, *urls[1:], "mailto:help@example.com"]
    assert bool(re.search(BUTTON, body, re.DOTALL)) is bool(urls)


def assert_html_loads_nothing_and_runs_no_script(message):
    html = html_of(message)
    assert not re.search(r"<(img|link|script|iframe|form|object|svg|b)\b", html)
    assert not re.search(r"<[^>]*\s(on\w+|src)=|url\(|@import", html)


def assert_greets_by_name_only_at_a_verified_address(message, name, cause):
    """`name` is empty for an unverified address. It may belong to someone else, and a stranger typed the name."""
    assert message.body.splitlines()[0] == (f"Hello {name}," if name else "Hello,")
    if not name:
        sent = message.subject + message.body + html_of(message)
        typed = [NAME, NAME.replace("<", "&lt;"), UNTRUSTED_AGENT]
        if cause != "email_changed by staff":  # The old address was verified until then.
            typed.append(message.to[0].partition("@")[0])
        assert not [text for text in typed if text in sent]


def test_every_email_is_complete_safe_and_the_same_in_text_and_html(make_user, monkeypatch, caplog, settings):
    """UNDEFINED shows variables that are printed. Django's log names the others, for example in {% if %}."""
    settings.DEFAULT_FROM_EMAIL = "Acme <help@example.com>"
    settings.TWOFACTOR_ISSUER = 'Acme, "Inc." <b>{{ x }} &amp; 100 %(y)s 二要素/認証🔐' + "x" * 300
    monkeypatch.setattr(engines["django"].engine, "string_if_invalid", "UNDEFINED:%s")
    caplog.set_level(logging.DEBUG, "django.template")
    rendered = set()

    def note(template, **kwargs):
        rendered.add(template.name)

    template_rendered.connect(note)  # until the test ends: the signal has a weak reference
    for cause, message, name in send_each(make_user, "o'hara&co@example.com", NAME):
        assert_greets_by_name_only_at_a_verified_address(message, name, cause)
        assert_html_says_the_same(message)
        assert_html_loads_nothing_and_runs_no_script(message)
        sent = email.message_from_bytes(message.message().as_bytes(), policy=email.policy.default)
        assert sent["Subject"].strip() == message.subject
        assert not re.search("UNDEFINED|None", message.subject + message.body + html_of(message))
    looked_for = {record.args for record in caplog.records if record.name == "django.template"}
    assert {variable for variable, template in looked_for if "/email/" in template} == set()
    folders = (site.BASE_DIR / "templates", site.BASE_DIR / "twofactor" / "templates")
    on_disk = {str(path.relative_to(folder)) for folder in folders for path in folder.glob("*/email/*")}
    assert {name for name in rendered if name and "/email/" in name} == on_disk, "Add a cause of the new template."


def test_every_email_of_allauth_has_a_template():
    sources = [path for path in Path(allauth.account.__file__).parent.rglob("*.py") if "tests" not in path.parts]
    used = {name for path in sources for name in re.findall(r"\"account/email/(\w+)\"", path.read_text())}
    on_disk = {path.stem for path in Path(site.BASE_DIR, "templates/account/email").iterdir()}
    assert used - on_disk == {"login_code", "password_reset_code"}, "Codes by email are off."


@pytest.mark.parametrize("language, direction", [("de", "ltr"), ("ar", "rtl")])
def test_html_has_language_and_direction(user, second_factor, rf, emails_to, language, direction):
    user.language = language
    RECORD["turned_on"](rf.get("/"), user)
    with translation.override(language):
        label = translation.gettext("Open security settings")
    (message,) = emails_to(user.email)
    assert f'<html lang="{language}" dir="{direction}">' in html_of(message)
    assert words(re.search(BUTTON, html_of(message), re.DOTALL)[0]) == label.split() != ["Open", "security", "settings"]


@pytest.mark.parametrize("cause, lifetime", [
    ("account_already_exists", "expires in 1 hour."),
    ("password_reset_key", "expires in 1 hour."),
    ("email_confirmation", "expires in 3 days."),
    ("email_confirmation_signup", "expires in 3 days."),
])  # fmt: skip
def test_a_link_says_when_it_expires(make_user, cause, lifetime):
    CAUSES[cause](new_client(), make_user("ada@example.com"))
    run_on_commit()
    assert lifetime in mail.outbox[-1].body

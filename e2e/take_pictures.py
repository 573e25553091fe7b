"""`python3 dev.py pictures`: take the screenshots of README.md and docs.

pytest runs this for its fixtures. It is not a test: its name keeps it out of the test run.
"""

from pathlib import Path

import pytest
from django.template import Context, Template
from playwright.sync_api import expect

from config.tests.test_emails import html_of, send_each
from e2e import steps
from e2e.phone import Phone
from twofactor.models import AuthenticatorApp
from twofactor.tests.constants import PASSWORD, SETTINGS, SETUP

PICTURES = Path(__file__).resolve().parent.parent / "docs" / "pictures"
CONTACT_SHEET = Template("""<!DOCTYPE html>
<style>
  :root { color-scheme: light dark; font: 15px/1.4 system-ui, sans-serif; }
  body { margin: 16px; columns: {{ columns }}; column-gap: 16px; width: max-content; }
  html { background: light-dark(#ddd, #333); }
  figure { margin: 0 0 16px; width: {{ width }}px; break-inside: avoid; }
  figcaption { padding: 10px 14px; background: light-dark(#fff, #000); }
  figcaption p { margin: 0; overflow: hidden; white-space: nowrap; text-overflow: ellipsis; opacity: .7; }
  iframe { display: block; width: 100%; border: 0; }
</style>
{% for email in emails %}
  <figure>
    <figcaption><b>{{ email.subject }}</b><p>{{ email.body }}</p></figcaption>
    <iframe srcdoc="{{ email.html|force_escape }}"></iframe>
  </figure>
{% endfor %}""")


@pytest.mark.parametrize("look, width, height", [
    ("light", 1280, 800), ("dark", 1280, 800), ("light-narrow", 390, 844), ("dark-narrow", 390, 844)
])  # fmt: skip
def test_pictures(new_context, user, secret, look, width, height):
    scheme = look.removesuffix("-narrow")
    page = new_context(color_scheme=scheme, viewport={"width": width, "height": height}).new_page()

    def take(name):
        page.evaluate("document.activeElement.blur()")
        page.screenshot(path=PICTURES / f"{name}-{look}.png", animations="disabled")

    page.goto("/")
    take("landing")
    steps.use_session(page, user, SETUP, {"password": PASSWORD})
    page.goto(SETUP)
    expect(steps.qr_code(page)).to_be_visible()
    take("setup-scan")
    page.context.clear_cookies()
    phone = Phone(secret, AuthenticatorApp.objects.activate(user, secret=secret))
    steps.sign_in(page, user, shows="Enter your code")
    take("sign-in-code")
    steps.enter_code(page, phone.code(), shows="Your account")
    page.goto(SETTINGS)
    take("settings")


@pytest.mark.parametrize("look, columns, width", [
    ("light", 6, 600), ("dark", 6, 600), ("light-narrow", 9, 360), ("dark-narrow", 9, 360)
])  # fmt: skip
def test_emails(new_context, make_user, settings, look, columns, width):
    """A contact sheet of all emails, each with its subject and its first words."""
    settings.SITE_URL = settings.TWOFACTOR_SITE_URL = "https://twofactor.example"
    settings.DEFAULT_FROM_EMAIL = "Twofactor <support@twofactor.example>"
    sent = [message for _cause, message, _name in send_each(make_user, "ada@example.com", "Ada Lovelace")]
    emails = [{"subject": each.subject, "body": each.body, "html": html_of(each)} for each in sent]
    page = new_context(color_scheme=look.removesuffix("-narrow"), viewport={"width": 800, "height": 600}).new_page()
    page.set_content(CONTACT_SHEET.render(Context({"emails": emails, "columns": columns, "width": width})))
    page.wait_for_function("""[...document.querySelectorAll("iframe")].every(
      (frame) => frame.contentDocument?.querySelector(".card"))""")
    page.evaluate("""document.querySelectorAll("iframe").forEach(
      (frame) => frame.style.height = `${frame.contentDocument.documentElement.scrollHeight}px`)""")
    page.locator("body").screenshot(path=PICTURES / f"emails-{look}.png")

"""`python3 dev.py pictures`: take the screenshots of README.md and docs.

pytest runs this for its fixtures. It is not a test: its name keeps it out of the test run.
"""

from io import BytesIO
from pathlib import Path

import pytest
from django.template import Context, Template
from PIL import Image
from playwright.sync_api import expect

from config.tests.test_emails import html_of, send_each
from e2e import steps
from e2e.phone import Phone
from twofactor.models import AuthenticatorApp
from twofactor.tests.constants import PASSWORD, SETTINGS, SETUP

PICTURES = Path(__file__).resolve().parent.parent / "docs" / "pictures"
CONTACT_SHEET = Template("""<!DOCTYPE html>
<style>
  :root { color-scheme: light dark; font: 15px/1.4 system-ui, sans-serif; background: light-dark(#ddd, #333); }
  body { margin: 0; padding: 16px; columns: {{ columns }}; column-gap: 16px; width: max-content; }
  figure { margin: 0 0 16px; width: {{ width }}px; break-inside: avoid; }
  figcaption { padding: 10px 14px; background: light-dark(#fff, #000); }
  figcaption > * { display: block; overflow: hidden; white-space: nowrap; text-overflow: ellipsis; }
  iframe { display: block; width: 100%; border: 0; }
</style>
{% for email in emails %}
  <figure>
    <figcaption><b>{{ email.subject }}</b><span></span></figcaption>
    <iframe srcdoc="{{ email.html|force_escape }}"></iframe>
  </figure>
{% endfor %}""")
FIT_FRAMES = """() => [...document.querySelectorAll("iframe")].every((frame) => {
  const email = frame.contentDocument;
  if (!email?.querySelector(".footer")) return false;
  frame.style.height = `${email.documentElement.scrollHeight}px`;
  frame.parentElement.querySelector("span").textContent = email.querySelector(".preheader").textContent.trim();
  return true;
})"""


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
    ("light", 6, 600), ("dark", 6, 600), ("light-narrow", 8, 360), ("dark-narrow", 8, 360)
])  # fmt: skip
def test_emails(new_context, make_user, settings, look, columns, width):
    """A contact sheet of all emails, each below its subject and preheader."""
    settings.SITE_URL = settings.TWOFACTOR_SITE_URL = "https://twofactor.example"
    settings.DEFAULT_FROM_EMAIL = "Twofactor <support@twofactor.example>"
    settings.TWOFACTOR_TRUST_DAYS = 30
    sent = [message for _cause, message, _name in send_each(make_user, "ada@example.com", "Ada Lovelace")]
    emails = [{"subject": each.subject, "html": html_of(each)} for each in sent]
    page = new_context(color_scheme=look.removesuffix("-narrow"), device_scale_factor=0.5).new_page()
    page.set_content(CONTACT_SHEET.render(Context({"emails": emails, "columns": columns, "width": width})))
    page.wait_for_function(FIT_FRAMES)
    with Image.open(BytesIO(page.locator("body").screenshot())) as picture:
        # With a palette the file has a third of the size.
        picture.quantize(128).save(PICTURES / f"emails-{look}.png", optimize=True)

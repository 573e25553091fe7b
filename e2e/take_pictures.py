"""`python3 dev.py pictures`: take the screenshots of README.md and docs.

pytest runs this for its fixtures. It is not a test: its name keeps it out of the test run.
"""

from base64 import b64encode
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
from twofactor.tests.constants import PASSWORD, SETTINGS, SETUP, VERIFY_LOGIN
from twofactor.tests.passkeys import add_passkey
from twofactor.tests.softkey import BE, BS, UV, SoftKey

ROOT = Path(__file__).resolve().parent.parent
PICTURES = ROOT / "docs" / "pictures"
SITE_PICTURES = ROOT / "static" / "img"
PROVIDERS = {"iCloud Keychain": UV | BE | BS, "YubiKey 5 NFC": UV}
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
    for provider, flags in PROVIDERS.items():
        add_passkey(user, SoftKey(flags=flags), rp_id="localhost", name=provider)
    steps.sign_in(page, user, shows="Use your passkey")
    take("sign-in-passkey")
    page.goto(f"{VERIFY_LOGIN}?method=code")  # a swap would complain of the styles of the screenshot
    take("sign-in-code")
    steps.enter_code(page, phone.code(), shows="Your account")
    page.goto(SETTINGS)
    take("settings")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_product(new_context, user, scheme):
    """The picture of the landing page: the setup, without its border and its longer texts."""
    context = new_context(color_scheme=scheme, viewport={"width": 480, "height": 900}, device_scale_factor=1.25)
    page = context.new_page()
    steps.use_session(page, user, SETUP, {"password": PASSWORD})
    page.goto(SETUP)
    expect(steps.qr_code(page)).to_be_visible()
    page.evaluate("document.activeElement.blur()")
    page.evaluate("document.querySelectorAll('.tf-scan p').forEach((text) => text.remove())")
    panel = page.locator("#panel").bounding_box()
    clip = {"x": panel["x"] + 2, "y": panel["y"] + 2, "width": 436, "height": 484}
    with Image.open(BytesIO(page.screenshot(clip=clip, animations="disabled"))) as picture:
        # A lossless file of few colors is smaller and sharper than a lossy one.
        few = picture.convert("RGB").quantize(12, Image.Quantize.MAXCOVERAGE).convert("RGB")
        few.save(SITE_PICTURES / f"product-{scheme}.webp", lossless=True, quality=100, method=6)


ICON = Template("""<!DOCTYPE html>
<style>
  body { margin: 0; background: #0d5c63; }
  svg { display: block; width: 100vw; height: 100vh; }
</style>
{{ svg|safe }}""")
PREVIEW = Template("""<!DOCTYPE html>
<style>
  body { display: grid; grid-template-columns: 1fr 440px; gap: 48px; align-items: center; box-sizing: border-box;
         width: 1200px; height: 630px; margin: 0; padding: 0 56px 0 72px; overflow: hidden;
         background: #0d5c63; color: #fff; font: 27px/1.45 system-ui, sans-serif; }
  svg { width: 84px; height: 84px; margin-left: -9px; }
  h1 { margin: 28px 0 20px; font-size: 48px; line-height: 1.1; letter-spacing: -.02em; }
  p { margin: 0; color: #cfe6e5; }
  img { width: 440px; align-self: end; border-radius: 18px 18px 0 0; box-shadow: 0 0 80px rgb(0 0 0 / .4); }
</style>
<div>{{ svg|safe }}<h1>{{ headline }}</h1><p>{{ text }}</p></div>
<img src="data:image/webp;base64,{{ picture }}">""")


def test_icons_and_preview(new_context):
    """The icons that are no SVG, and the picture that other sites show beside a link."""
    svg = (SITE_PICTURES / "favicon.svg").read_text()
    page = new_context(viewport={"width": 180, "height": 180}).new_page()
    page.set_content(ICON.render(Context({"svg": svg})))
    with Image.open(BytesIO(page.screenshot())) as icon:
        icon.convert("RGB").quantize(16).save(SITE_PICTURES / "touch-icon.png", optimize=True)
    page.set_content(f"<style>body {{ margin: 0 }} svg {{ display: block; width: 180px }}</style>{svg}")
    with Image.open(BytesIO(page.screenshot(omit_background=True))) as icon:
        icon.save(ROOT / "public" / "favicon.ico", sizes=[(16, 16), (32, 32), (48, 48)])
    page.set_viewport_size({"width": 1200, "height": 630})
    picture = b64encode((SITE_PICTURES / "product-light.webp").read_bytes()).decode()
    words = {"headline": "A stolen password shouldn't be enough", "text": "Two-factor sign-in for Django sites"}
    page.set_content(PREVIEW.render(Context({"svg": svg, "picture": picture, **words})))
    with Image.open(BytesIO(page.screenshot())) as preview:
        preview.convert("RGB").quantize(64).save(SITE_PICTURES / "preview.png", optimize=True)


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

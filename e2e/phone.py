"""An authenticator app that shares no code with the site, and the clock that both read."""

import io
from urllib.parse import parse_qs, urlsplit

import zxingcpp
from PIL import Image

from twofactor.tests.rfc6238 import STEP_SECONDS, code_at, wrong_code


class Clock:
    """The clock of the live server. It stands still until a test advances it, so no test waits for a code."""

    now = 0.0

    def time(self):
        return self.now

    def advance(self, seconds):
        self.now += seconds


CLOCK = Clock()


class Phone:
    """An authenticator app with one secret, and the backup codes that its owner keeps with it."""

    def __init__(self, secret, backup_codes=()):
        self.secret = secret
        self.backup_codes = list(backup_codes)

    @classmethod
    def scan(cls, qr_code):
        """Read the provisioning URI from a screenshot. Raise AssertionError if it has no readable QR code."""
        found = zxingcpp.read_barcode(Image.open(io.BytesIO(qr_code.screenshot())))
        assert found is not None, "the screenshot has no readable QR code"
        return cls.open(found.text)

    @classmethod
    def open(cls, provisioning_uri):
        uri = urlsplit(provisioning_uri)
        assert (uri.scheme, uri.netloc) == ("otpauth", "totp"), f"{provisioning_uri} is not a TOTP provisioning URI"
        return cls(parse_qs(uri.query)["secret"][0])

    def code(self):
        """Advance the clock to the next time step, and return its code, which was never used."""
        CLOCK.advance(STEP_SECONDS)
        return code_at(self.secret, CLOCK.now)

    def wrong_code(self):
        return wrong_code(self.secret, CLOCK.now)

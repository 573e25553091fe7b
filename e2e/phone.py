"""An authenticator app that shares no code with the site, and the clock that both read."""

import io
from collections.abc import Iterable
from urllib.parse import parse_qs, urlsplit

import zxingcpp
from PIL import Image
from playwright.sync_api import Locator

from twofactor.tests.rfc6238 import STEP_SECONDS, code_at, wrong_code


class Clock:
    """The clock of the live server. It stands still until a test advances it, so no test waits for a code."""

    now = 0.0

    def time(self) -> float:
        return self.now

    def advance(self, seconds: int) -> None:
        self.now += seconds


CLOCK = Clock()


class Phone:
    """An authenticator app with one secret, and the backup codes that its owner keeps with it."""

    def __init__(self, secret: str, backup_codes: Iterable[str] = ()) -> None:
        self.secret = secret
        self.backup_codes = list(backup_codes)

    @classmethod
    def scan(cls, qr_code: Locator) -> "Phone":
        """Read the provisioning URI from a screenshot. Raise AssertionError if it has no readable QR code."""
        picture = Image.open(io.BytesIO(qr_code.screenshot()))
        found = zxingcpp.read_barcode(picture)
        assert found is not None, "the screenshot has no readable QR code"
        uri = urlsplit(found.text)
        assert (uri.scheme, uri.netloc) == ("otpauth", "totp"), f"{found.text} is not a TOTP provisioning URI"
        return cls(parse_qs(uri.query)["secret"][0])

    def code(self) -> str:
        """Advance the clock to the next time step, and return its code, which was never used."""
        CLOCK.advance(STEP_SECONDS)
        return code_at(self.secret, CLOCK.now)

    def wrong_code(self) -> str:
        return wrong_code(self.secret, CLOCK.now)

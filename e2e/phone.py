"""An authenticator app that shares no code with the site and reads the QR code from a screenshot."""

import io
import time
from urllib.parse import parse_qs, urlsplit

import zxingcpp
from PIL import Image
from playwright.sync_api import Locator

from twofactor.tests.rfc6238 import STEP_SECONDS, code_at


class Phone:
    """An authenticator app with one secret."""

    def __init__(self, secret: str, *, uri: str = "") -> None:
        self.secret = secret
        self.uri = uri
        self.backup_codes: list[str] = []

    @classmethod
    def scan(cls, qr_code: Locator) -> "Phone":
        """Read the provisioning URI from a screenshot. Raise AssertionError if it has no readable QR code."""
        picture = Image.open(io.BytesIO(qr_code.screenshot()))
        found = zxingcpp.read_barcode(picture)
        assert found is not None, "the screenshot has no readable QR code"
        uri = urlsplit(found.text)
        assert (uri.scheme, uri.netloc) == ("otpauth", "totp"), f"{found.text} is not a TOTP provisioning URI"
        return cls(parse_qs(uri.query)["secret"][0], uri=found.text)

    def code(self, steps_ahead: int = 0) -> str:
        """Return the code of the current time step, or of a later one. The site accepts one step ahead."""
        return code_at(self.secret, time.time() + steps_ahead * STEP_SECONDS)

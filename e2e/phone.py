"""An authenticator app that shares no code with the site, fed from a picture of the page."""

import base64
import hmac
import io
import struct
import time
from urllib.parse import parse_qs, urlsplit

import zxingcpp
from PIL import Image
from playwright.sync_api import Locator

STEP_SECONDS = 30


def code_at(secret: str, unix_time: float) -> str:
    """Return the six digits that this base32 secret gives at this time (RFC 4226, 5.3; RFC 6238, 4)."""
    mac = hmac.digest(base64.b32decode(secret), struct.pack(">Q", int(unix_time) // STEP_SECONDS), "sha1")
    offset = mac[-1] & 0x0F
    return f"{(struct.unpack_from('>I', mac, offset)[0] & 0x7FFFFFFF) % 10**6:06}"


class Phone:
    """Holds a secret and shows its codes."""

    def __init__(self, secret: str, *, uri: str = "") -> None:
        self.secret, self.uri = secret, uri
        self.backup_codes: list[str] = []

    @classmethod
    def scan(cls, qr_code: Locator) -> "Phone":
        """Read the provisioning URI off a screenshot, as a camera would; AssertionError if there is none."""
        picture = Image.open(io.BytesIO(qr_code.screenshot()))
        found = zxingcpp.read_barcode(picture)
        assert found is not None, "there is no QR code on the screenshot that can be read"
        uri = urlsplit(found.text)
        assert (uri.scheme, uri.netloc) == ("otpauth", "totp"), f"{found.text} is not for codes by time"
        return cls(parse_qs(uri.query)["secret"][0], uri=found.text)

    def code(self, steps_ahead: int = 0) -> str:
        """Return the code of this time step, or of a later one; the site takes one step ahead."""
        return code_at(self.secret, time.time() + steps_ahead * STEP_SECONDS)

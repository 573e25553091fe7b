"""Chromium's virtual authenticator: a device with passkeys, controlled over the DevTools protocol."""

import base64
from contextlib import contextmanager

from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from twofactor.tests.softkey import BE, BS

# A phone or laptop that knows its owner by a finger or a PIN. It answers as soon as the page asks.
DEVICE = {
    "protocol": "ctap2",
    "ctap2Version": "ctap2_1",
    "transport": "internal",
    "hasResidentKey": True,
    "hasUserVerification": True,
    "isUserVerified": True,
    "automaticPresenceSimulation": True,
}
SYNCED = {"defaultBackupEligibility": True, "defaultBackupState": True}
# Without a PIN it asserts the user's presence, and does not verify the user.
SECURITY_KEY = {"transport": "usb", "hasResidentKey": False, "hasUserVerification": False, "isUserVerified": False}
CORRECT = {"isBogusSignature": False, "isBadUV": False, "isBadUP": False}


class VirtualKey:
    """The device at one page; it stays when the page navigates."""

    def __init__(self, page, **options):
        self._session = page.context.new_cdp_session(page)
        self._session.send("WebAuthn.enable", {"enableUI": False})
        added = self._session.send("WebAuthn.addVirtualAuthenticator", {"options": {**DEVICE, **options}})
        self._id = added["authenticatorId"]

    def _send(self, command, **parameters):
        return self._session.send(f"WebAuthn.{command}", {"authenticatorId": self._id, **parameters})

    def credentials(self):
        return self._send("getCredentials")["credentials"]

    def store(self, key, rp_id="localhost"):
        """Put a passkey on the device: a SoftKey whose public key the site knows."""
        private_key = key.key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
        credential = {
            "credentialId": base64.b64encode(key.credential_id).decode(),
            "isResidentCredential": False,
            "rpId": rp_id,
            "privateKey": base64.b64encode(private_key).decode(),
            "signCount": key.sign_count,
            "backupEligibility": bool(key.flags & BE),
            "backupState": bool(key.flags & BS),
        }
        self._send("addCredential", credential=credential)

    def clear(self):
        """Delete all passkeys of the device."""
        self._send("clearCredentials")

    def set_sign_count(self, count):
        """Replace the only passkey by a copy with this sign count, as on a cloned device."""
        (credential,) = self.credentials()
        self.clear()
        self._send("addCredential", credential={**credential, "signCount": count})

    @contextmanager
    def untouched(self):
        """In this block nobody touches the device, and the browser waits."""
        self._send("setAutomaticPresenceSimulation", enabled=False)
        yield
        self._send("setAutomaticPresenceSimulation", enabled=True)

    @contextmanager
    def broken(self, bit):
        """In this block its answers are wrong in one respect: `isBogusSignature`, `isBadUV` or `isBadUP`."""
        self._send("setResponseOverrideBits", **CORRECT | {bit: True})
        yield
        self._send("setResponseOverrideBits", **CORRECT)

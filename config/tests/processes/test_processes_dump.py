"""A stolen database, email folder and log contain no secret, code or password in clear."""

import base64
import email
import email.policy
import hashlib
import quopri
import re
import zlib
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from config.tests.processes import site_helpers
from config.tests.processes.running_site import Site, serving, wait_until
from twofactor.tests.journeys import (
    CHANGE_PASSWORD,
    DISABLE,
    EMAIL,
    LOGOUT,
    PASSWORD,
    REAUTHENTICATE,
    REGENERATE,
    SETUP,
    VERIFY_LOGIN,
    VERIFY_SETUP,
    SiteUser,
    backup_codes_on,
    give_password,
    key_on,
    post,
    redirect_target,
    start_setup,
)

SECOND_PASSWORD = "Zinc-7-harbour-lantern"
WRONG_PASSWORD = "wrong-Password-of-Ada-8"
WRONG_BACKUP_CODE = "ZZZZ-YYYY-XXXX-WWWW"


# --- Searching for a secret in any encoding -------------------------------------------------------


def encodings_of(secret: str) -> tuple[set[bytes], set[bytes]]:
    """Return the encodings of a secret: those to find in lower-case data, and those in URL-safe base64."""
    bare = re.sub(r"[-\s]", "", secret)
    grouped = [bare[i : i + 4] for i in range(0, len(bare), 4)]
    texts = {secret, bare, " ".join(grouped), "-".join(grouped)}
    raws = {text.encode() for text in texts}
    with suppress(ValueError):  # a TOTP secret is written in base32
        raws.add(base64.b32decode(bare))
    small = {form for raw in raws for form in (raw.lower(), raw.hex().encode(), raw.lower().hex().encode())}
    small |= {
        digest(raw).hexdigest().encode() for raw in raws for digest in (hashlib.md5, hashlib.sha1, hashlib.sha256)
    }
    small |= {text.lower().encode("utf-16-le") for text in texts}
    return small, {form for raw in raws for form in in_base64(raw)}


def in_base64(raw: bytes) -> Iterator[bytes]:
    """Yield the part of the base64 text that is the same at each offset modulo 3 in a longer text."""
    for before in range(3):
        encoded = base64.b64encode(b"\0" * before + raw).rstrip(b"=")
        yield encoded[-(-before * 8 // 6) + bool(before) : -2].translate(TO_URL_SAFE)


TO_URL_SAFE = bytes.maketrans(b"+/", b"-_")


class StolenFiles:
    """The contents of all files of a folder, as stored and decoded."""

    def __init__(self, folder: Path) -> None:
        files = [path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()]
        pieces = {piece for file in files for page in pages(file) for piece in unpacked(page)}
        messages = [
            email.message_from_bytes(file, policy=email.policy.default) for file in files if b"\nSubject:" in file
        ]
        parts = [part for message in messages for part in message.walk() if part.get_content_maintype() == "text"]
        self.all = b"\n".join([*pieces, *(part.get_content().encode() for part in parts)])
        self.small = self.all.lower()
        self.url_safe = self.all.translate(TO_URL_SAFE)

    def contains(self, secret: str) -> bool:
        """Return whether the secret is there in any encoding. Six digits count only as a separate word."""
        if re.fullmatch("[0-9]{6}", secret):
            apart = rf"(?<![0-9A-Za-z./+=_-])(?:{secret}|{secret[:3]}[ -]{secret[3:]})(?![0-9A-Za-z/+=_-])"
            return bool(re.search(apart.encode(), self.all))
        small, in_base64 = encodings_of(secret)
        return any(form in self.small for form in small) or any(form in self.url_safe for form in in_base64)


def pages(file: bytes) -> set[bytes]:
    """Return the distinct pages of a SQLite file or its write-ahead log. Any other file is one page."""
    if file.startswith(b"SQLite format 3"):
        return {file[i : i + 4096] for i in range(0, len(file), 4096)}
    if file[:4] in (b"\x37\x7f\x06\x82", b"\x37\x7f\x06\x83"):
        return {file[i + 24 : i + 4120] for i in range(32, len(file), 4120)}
    return {file}


def unpacked(blob: bytes) -> Iterator[bytes]:
    """Yield the bytes, and their quoted-printable, base64 and compressed parts. Sessions are compressed base64."""
    yield blob
    if b"=3D" in blob or b"=\n" in blob:
        yield quopri.decodestring(blob)
    for run in set(re.findall(rb"[A-Za-z0-9+/_-]{16,}", blob)):
        decoded = base64.b64decode(run[: len(run) // 4 * 4].translate(bytes.maketrans(b"-_", b"+/")))
        with suppress(zlib.error):
            yield zlib.decompressobj().decompress(decoded)
        if decoded.isascii():
            yield decoded


ENCODINGS = {
    "clear": lambda raw: raw,
    "lower case": bytes.lower,
    "hex": lambda raw: raw.hex().encode(),
    "base64": lambda raw: base64.b64encode(b"{'code': '" + raw + b"'}"),
    "base64, one further": lambda raw: base64.b64encode(b"{'codes': '" + raw + b"'}"),
    "base64 for addresses": lambda raw: base64.urlsafe_b64encode(b"a" + raw),
    "compressed, as a session": lambda raw: (
        b"." + base64.urlsafe_b64encode(zlib.compress(b"{'a': '" + raw + b"'}" * 9)) + b":x:y"
    ),
    "rot13 of hex": lambda raw: raw.hex().upper().encode(),
    "UTF-16": lambda raw: raw.decode().encode("utf-16-le"),
    "in groups": lambda raw: b" ".join(raw.replace(b"-", b"")[i : i + 4] for i in range(0, 40, 4)).strip(),
    "an unsalted digest": lambda raw: hashlib.sha256(raw).hexdigest().encode(),
}


@pytest.mark.parametrize("encode", ENCODINGS.values(), ids=ENCODINGS)
def test_the_search_finds_a_secret_in_any_encoding(encode: Callable[[bytes], bytes], tmp_path: Path) -> None:
    noise = hashlib.sha512(b"noise").digest() * 20
    for secret in (PASSWORD, "JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP", "7KQ2-9MXD-4RTB-W8HN"):
        (tmp_path / "site.sqlite3").write_bytes(noise + b" " + encode(secret.encode()) + b" " + noise)
        assert StolenFiles(tmp_path).contains(secret)
        assert not StolenFiles(tmp_path).contains("another-Secret-than-that-1")


def test_the_search_finds_the_bytes_of_a_key_and_a_separate_code(tmp_path: Path) -> None:
    key = "JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP"
    (tmp_path / "a").write_bytes(b"x" + base64.b32decode(key) + b'y "123456" 12:34:56.654321 d123456e')
    files = StolenFiles(tmp_path)
    assert files.contains(key)
    assert files.contains("123456")
    assert not files.contains("654321")


# --- The whole journey ----------------------------------------------------------------------------


@pytest.fixture(scope="module")
def stolen() -> Iterator[tuple[Site, StolenFiles, set[str]]]:
    """A site after the whole journey, its files, and every secret that was shown or typed."""
    with serving(REAL_HASHER="true", TWOFACTOR_TRUST_DAYS="30") as site:
        secrets = set(Journey(site).run())
        yield site, StolenFiles(site.folder), secrets


class Journey:
    """What Ada does. Each step yields the secrets that it shows or submits."""

    def __init__(self, site: Site) -> None:
        self.site = site
        self.client = site.client()
        self.ada = SiteUser(0, "ada@example.com")

    def run(self) -> Iterator[str]:
        yield from (PASSWORD, SECOND_PASSWORD, WRONG_PASSWORD, WRONG_BACKUP_CODE)
        self.sign_up()
        yield from self.turn_on()
        for htmx in ("", "true"):
            self.client.headers["HX-Request"] = htmx
            yield from self.sign_out_and_in()
            yield from self.make_new_codes()
            yield from self.turn_on(backup_code=self.ada.backup_codes[0])
        yield from self.step_up()
        self.site.call(site_helpers.clear_limits)  # among them that of ten passwords a minute
        page = post(self.client, DISABLE, {"password": PASSWORD, "backup_code": self.ada.backup_codes[9]})
        assert page.status_code == 200
        yield from self.turn_on()
        yield from self.change_password_and_leave()

    def sign_up(self) -> None:
        post(self.client, "/accounts/signup/", {"email": self.ada.email, "full_name": "Ada", "password1": PASSWORD})
        wait_until(lambda: self.site.emails_to(self.ada), "the email that confirms the address")
        (link,) = re.findall(r"/accounts/confirm-email/(?!\S*not-me)\S+", self.site.emails_to(self.ada)[0])
        assert redirect_target(post(self.client, link))
        self.ada.pk = self.site.call(site_helpers.pk_of, self.ada.email)
        give_password(self.client, self.ada, password=WRONG_PASSWORD)
        assert redirect_target(give_password(self.client, self.ada)) == "/"

    def turn_on(self, **proof: str) -> Iterator[str]:
        """Turn 2FA on or change the phone, after a wrong password and a wrong code."""
        ada = self.ada
        post(self.client, SETUP, {"password": WRONG_PASSWORD, **proof})
        ada.secret = start_setup(self.client, **proof)
        assert key_on(self.client.get(SETUP)) == ada.secret != ""
        typed = (ada.wrong_code(), ada.code())
        ada.backup_codes = [backup_codes_on(post(self.client, VERIFY_SETUP, {"code": code})) for code in typed][-1]
        assert len(ada.backup_codes) == 10
        self.site.reset_throttle(ada)
        yield from (ada.secret, *typed, *ada.backup_codes)

    def sign_out_and_in(self) -> Iterator[str]:
        ada = self.ada
        for kind, wrong, right in [
            ("code", ada.wrong_code(3), ada.code()),
            ("backup_code", WRONG_BACKUP_CODE, ada.backup_codes[1]),
        ]:
            post(self.client, LOGOUT)
            give_password(self.client, ada)
            post(self.client, VERIFY_LOGIN, {kind: wrong})
            assert redirect_target(post(self.client, VERIFY_LOGIN, {kind: right})) == "/"
            self.site.reset_throttle(ada)
            yield from (wrong, right)

    def make_new_codes(self) -> Iterator[str]:
        code = self.ada.code()
        post(self.client, REGENERATE, {"password": WRONG_PASSWORD, "code": code})
        page = post(self.client, REGENERATE, {"password": PASSWORD, "code": code})
        self.ada.backup_codes = backup_codes_on(page)
        self.site.reset_throttle(self.ada)
        yield from (code, *self.ada.backup_codes)

    def step_up(self) -> Iterator[str]:
        """Add an address with and without step-up, in a trusted browser too."""
        new = {"action_add": "", "email": "second@example.com"}
        trusting = self.site.client()
        give_password(trusting, self.ada)
        post(trusting, VERIFY_LOGIN, {"backup_code": self.ada.backup_codes[5], "trust": "on"})
        yield trusting.cookies["trusted"][:40]  # a part: the digest of the whole token is stored on purpose
        code = self.ada.code()
        for client, proof in [(self.client, {"backup_code": self.ada.backup_codes[6]}), (trusting, {"code": code})]:
            assert REAUTHENTICATE in redirect_target(post(client, EMAIL, new))
            assert post(client, REAUTHENTICATE, {"password": PASSWORD, **proof}).status_code < 400
        self.site.reset_throttle(self.ada)
        yield code

    def change_password_and_leave(self) -> Iterator[str]:
        """Leave a pending sign-in, a setup in progress and a link that resets the password."""
        for password in (WRONG_PASSWORD, PASSWORD):
            page = post(self.client, CHANGE_PASSWORD, {"oldpassword": password, "password1": SECOND_PASSWORD})
        assert redirect_target(page)
        pending = give_password(self.site.client(), self.ada, password=SECOND_PASSWORD)
        assert redirect_target(pending) == VERIFY_LOGIN
        yield start_setup(self.client, password=SECOND_PASSWORD, backup_code=self.ada.backup_codes[8])
        post(self.client, "/accounts/password/reset/", {"email": self.ada.email})
        wait_until(lambda: any("/key/" in text for text in self.site.emails_to(self.ada)), "the last email")


def test_the_journey_is_complete(stolen: tuple[Site, StolenFiles, set[str]]) -> None:
    site, files, secrets = stolen
    changes = {"turned_on", "turned_off", "codes_regenerated", "phone_changed"}
    ada = site.call(site_helpers.pk_of, "ada@example.com")
    assert set(site.call(site_helpers.events, ada)) >= changes | {"backup_code_used", "browser_trusted"}
    assert len(secrets) > 70
    assert {path.name for path in site.folder.iterdir()} > {"site.sqlite3", "site.sqlite3-wal"}
    assert len(list(site.mail.iterdir())) > 5
    assert files.contains("twofactor_setup"), "sessions are not decoded"
    assert files.contains("ada@example.com")


def test_no_secret_code_or_password_is_stored_or_logged_in_clear(stolen: tuple[Site, StolenFiles, set[str]]) -> None:
    _, files, secrets = stolen
    found = {secret for secret in secrets if files.contains(secret)}
    assert not found, f"{len(found)} of {len(secrets)}"

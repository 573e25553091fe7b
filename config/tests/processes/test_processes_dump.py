"""A stolen database, email folder and log contain no secret, code or password in clear."""

import base64
import email
import email.policy
import hashlib
import quopri
import re
import zlib
from contextlib import suppress

import pytest

from config.tests.processes import site_helpers
from config.tests.processes.running_site import serving, wait_until
from twofactor.tests.constants import (
    CHANGE_PASSWORD,
    DISABLE,
    EMAIL,
    LOGOUT,
    PASSWORD,
    REAUTHENTICATE,
    REGENERATE,
    SECRET,
    SETUP,
    VERIFY_LOGIN,
    VERIFY_SETUP,
)
from twofactor.tests.journeys import (
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
TO_URL_SAFE = bytes.maketrans(b"+/", b"-_")

# --- Searching for a secret in any encoding -------------------------------------------------------


def encodings_of(secret):
    """Return the encodings of a secret: those to find in lower-case data, and those in URL-safe base64."""
    bare = re.sub(r"[-\s]", "", secret)
    grouped = [bare[i : i + 4] for i in range(0, len(bare), 4)]
    texts = {secret, bare, " ".join(grouped), "-".join(grouped)}
    raws = {text.encode() for text in texts}
    with suppress(ValueError):  # a TOTP secret is written in base32
        raws.add(base64.b32decode(bare))
    small = {form for raw in raws for form in (raw.lower(), raw.hex().encode(), raw.lower().hex().encode())}
    small |= {hashlib.new(name, raw).hexdigest().encode() for raw in raws for name in ("md5", "sha1", "sha256")}
    small |= {text.lower().encode("utf-16-le") for text in texts}
    return small, {form for raw in raws for form in in_base64(raw)}


def in_base64(raw):
    """Yield the part of the base64 text that is the same at each offset modulo 3 in a longer text."""
    for before in range(3):
        encoded = base64.b64encode(b"\0" * before + raw).rstrip(b"=")
        yield encoded[-(-before * 8 // 6) + bool(before) : -2].translate(TO_URL_SAFE)


class StolenFiles:
    """The contents of all files of a folder, as stored and decoded."""

    def __init__(self, folder):
        files = [path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()]
        pieces = {piece for file in files for page in pages(file) for piece in unpacked(page)}
        parse = email.message_from_bytes
        messages = [parse(file, policy=email.policy.default) for file in files if b"\nSubject:" in file]
        parts = [part for message in messages for part in message.walk() if part.get_content_maintype() == "text"]
        self.all = b"\n".join([*pieces, *(part.get_content().encode() for part in parts)])
        self.small = self.all.lower()
        self.url_safe = self.all.translate(TO_URL_SAFE)

    def contains(self, secret):
        """Return whether the secret is there in any encoding. Six digits count only as a separate word."""
        if re.fullmatch("[0-9]{6}", secret):
            apart = rf"(?<![0-9A-Za-z./+=_-])(?:{secret}|{secret[:3]}[ -]{secret[3:]})(?![0-9A-Za-z/+=_-])"
            return bool(re.search(apart.encode(), self.all))
        small, in_base64 = encodings_of(secret)
        return any(form in self.small for form in small) or any(form in self.url_safe for form in in_base64)


def pages(file):
    """Return the distinct pages of a SQLite file or its write-ahead log. Any other file is one page."""
    if file.startswith(b"SQLite format 3"):
        return {file[i : i + 4096] for i in range(0, len(file), 4096)}
    if file[:4] in (b"\x37\x7f\x06\x82", b"\x37\x7f\x06\x83"):
        return {file[i + 24 : i + 4120] for i in range(32, len(file), 4120)}
    return {file}


def unpacked(blob):
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


@pytest.mark.parametrize("encode", [
    lambda raw: raw,
    bytes.lower,
    lambda raw: raw.hex().encode(),
    lambda raw: raw.hex().upper().encode(),
    lambda raw: base64.b64encode(b"{'code': '" + raw + b"'}"),
    lambda raw: base64.b64encode(b"{'codes': '" + raw + b"'}"),
    lambda raw: base64.urlsafe_b64encode(b"a" + raw),
    lambda raw: b"." + base64.urlsafe_b64encode(zlib.compress(b"{'a': '" + raw + b"'}" * 9)) + b":x:y",  # a session
    lambda raw: raw.decode().encode("utf-16-le"),
    lambda raw: b" ".join(raw.replace(b"-", b"")[i : i + 4] for i in range(0, 40, 4)).strip(),
    lambda raw: hashlib.sha256(raw).hexdigest().encode(),
])  # fmt: skip
def test_the_search_finds_a_secret_in_any_encoding(encode, tmp_path):
    noise = hashlib.sha512(b"noise").digest() * 20
    for secret in (PASSWORD, SECRET, "7KQ2-9MXD-4RTB-W8HN"):
        (tmp_path / "site.sqlite3").write_bytes(noise + b" " + encode(secret.encode()) + b" " + noise)
        assert StolenFiles(tmp_path).contains(secret)
        assert not StolenFiles(tmp_path).contains("another-Secret-than-that-1")


def test_the_search_finds_the_bytes_of_a_key_and_a_separate_code(tmp_path):
    (tmp_path / "a").write_bytes(b"x" + base64.b32decode(SECRET) + b'y "123456" 12:34:56.654321 d123456e')
    files = StolenFiles(tmp_path)
    assert [files.contains(secret) for secret in (SECRET, "123456", "654321")] == [True, True, False]


# --- The whole journey ----------------------------------------------------------------------------


@pytest.fixture(scope="module")
def stolen():
    """A site after the whole journey, its files, and every secret that was shown or typed."""
    with serving(REAL_HASHER="true", TWOFACTOR_TRUST_DAYS="30") as site:
        secrets = set(Journey(site).run())
        yield site, StolenFiles(site.folder), secrets


class Journey:
    """What Ada does. Each step yields the secrets that it shows or submits."""

    def __init__(self, site):
        self.site, self.client, self.ada = site, site.client(), SiteUser(0, "ada@example.com")

    def run(self):
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
        proof = {"password": PASSWORD, "backup_code": self.ada.backup_codes[9]}
        assert post(self.client, DISABLE, proof).status_code == 200
        yield from self.turn_on()
        yield from self.change_password_and_leave()

    def sign_up(self):
        post(self.client, "/accounts/signup/", {"email": self.ada.email, "full_name": "Ada", "password1": PASSWORD})
        wait_until(lambda: self.site.emails_to(self.ada), "the email that confirms the address")
        (link,) = re.findall(r"/accounts/confirm-email/(?!\S*not-me)\S+", self.site.emails_to(self.ada)[0])
        assert redirect_target(post(self.client, link))
        self.ada.pk = self.site.rows("User")[0]["id"]
        give_password(self.client, self.ada, password=WRONG_PASSWORD)
        assert redirect_target(give_password(self.client, self.ada)) == "/"

    def turn_on(self, **proof):
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

    def sign_out_and_in(self):
        ada = self.ada
        codes, backup_codes = (ada.wrong_code(3), ada.code()), (WRONG_BACKUP_CODE, ada.backup_codes[1])
        for kind, typed in {"code": codes, "backup_code": backup_codes}.items():
            post(self.client, LOGOUT)
            give_password(self.client, ada)
            _, page = [post(self.client, VERIFY_LOGIN, {kind: value}) for value in typed]
            assert redirect_target(page) == "/"
            self.site.reset_throttle(ada)
            yield from typed

    def make_new_codes(self):
        code = self.ada.code()
        proofs = [{"password": password, "code": code} for password in (WRONG_PASSWORD, PASSWORD)]
        self.ada.backup_codes = [backup_codes_on(post(self.client, REGENERATE, proof)) for proof in proofs][-1]
        self.site.reset_throttle(self.ada)
        yield from (code, *self.ada.backup_codes)

    def step_up(self):
        """Add an address with and without step-up, in a trusted browser too."""
        trusting = self.site.client()
        give_password(trusting, self.ada)
        post(trusting, VERIFY_LOGIN, {"backup_code": self.ada.backup_codes[5], "trust": "on"})
        yield trusting.cookies["trusted"][:40]  # a part: the digest of the whole token is stored on purpose
        code = self.ada.code()
        for client, proof in [(self.client, {"backup_code": self.ada.backup_codes[6]}), (trusting, {"code": code})]:
            new = post(client, EMAIL, {"action_add": "", "email": "second@example.com"})
            assert REAUTHENTICATE in redirect_target(new)
            assert post(client, REAUTHENTICATE, {"password": PASSWORD, **proof}).status_code < 400
        self.site.reset_throttle(self.ada)
        yield code

    def change_password_and_leave(self):
        """Leave a pending sign-in, a setup in progress and a link that resets the password."""
        for password in (WRONG_PASSWORD, PASSWORD):
            page = post(self.client, CHANGE_PASSWORD, {"oldpassword": password, "password1": SECOND_PASSWORD})
        assert redirect_target(page)
        pending = give_password(self.site.client(), self.ada, password=SECOND_PASSWORD)
        assert redirect_target(pending) == VERIFY_LOGIN
        yield start_setup(self.client, password=SECOND_PASSWORD, backup_code=self.ada.backup_codes[8])
        post(self.client, "/accounts/password/reset/", {"email": self.ada.email})
        wait_until(lambda: any("/key/" in text for text in self.site.emails_to(self.ada)), "the last email")


def test_the_journey_is_complete(stolen):
    site, files, secrets = stolen
    kinds = {"turned_on", "turned_off", "codes_regenerated", "phone_changed", "backup_code_used", "browser_trusted"}
    assert {row["kind"] for row in site.rows("SecurityEvent")} >= kinds
    assert len(secrets) > 70
    assert {path.name for path in site.folder.iterdir()} > {"site.sqlite3", "site.sqlite3-wal"}
    assert len(list(site.mail.iterdir())) > 5
    assert files.contains("twofactor_setup"), "sessions are not decoded"
    assert files.contains("ada@example.com")


def test_no_secret_code_or_password_is_stored_or_logged_in_clear(stolen):
    _, files, secrets = stolen
    found = {secret for secret in secrets if files.contains(secret)}
    assert not found, f"{len(found)} of {len(secrets)}"

"""Key rotation as in docs/deploy.md, "New keys", on two machines that restart one after the other."""

import base64
import secrets
from collections.abc import Iterator

import pytest

from config.tests.processes.running_site import SETUP, VERIFY_SETUP, Browser, Site, SiteUser, manage, serving
from conftest import PASSWORD

pytest_plugins = ["config.tests.processes.running_site"]

OLD, NEW = (f"{kid}:{base64.b64encode(secrets.token_bytes(32)).decode()}" for kid in ("2026", "2027"))


@pytest.fixture
def machines() -> Iterator[tuple[Site, Site]]:
    """Two servers with one database."""
    with serving(TWOFACTOR_KEYS=OLD) as one:
        shared = {name: one.env[name] for name in ("DATABASE_URL", "SECRET_KEY", "TWOFACTOR_KEYS")}
        with serving(**shared) as other:
            yield one, other


def turn_on(site: Site, user: SiteUser) -> None:
    browser = Browser(site).sign_in(user)
    user.secret = browser.post(SETUP, {"password": PASSWORD}).key
    assert browser.post(VERIFY_SETUP, {"code": user.code()}).backup_codes


def test_keys_can_be_rotated_machine_by_machine_without_refusing_a_code(machines: tuple[Site, Site]) -> None:
    one, other = machines
    veteran = one.make_user(on=False)
    turn_on(one, veteran)

    def every_code_is_accepted() -> None:
        for site in machines:
            one.reset_throttle_and_codes(veteran)
            Browser(site).sign_in(veteran, code=veteran.code())
        for here, there in [(one, other), (other, one)]:
            newcomer = one.make_user(on=False)
            turn_on(here, newcomer)
            Browser(there).sign_in(newcomer, code=newcomer.code(steps_ahead=1))

    for keys in (f"{OLD},{NEW}", f"{NEW},{OLD}", NEW):
        if keys == NEW:
            assert "secrets that do not open: 0" in manage(one.env, "twofactor", "rotate-keys")
        for site in machines:
            site.env["TWOFACTOR_KEYS"] = keys
            site.restart()
            every_code_is_accepted()

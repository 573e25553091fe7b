"""Key rotation as in docs/deploy.md, "New keys", on two machines that restart one after the other."""

import base64
import secrets

from config.tests.processes.running_site import Site, manage, serving
from twofactor.tests.journeys import SiteUser, turn_on

OLD, NEW = (f"{kid}:{base64.b64encode(secrets.token_bytes(32)).decode()}" for kid in ("2026", "2027"))


def assert_every_code_is_accepted(one: Site, other: Site, veteran: SiteUser) -> None:
    for site in (one, other):
        one.reset_throttle(veteran)
        site.signed_in(veteran, code=veteran.code())
    for here, there in [(one, other), (other, one)]:
        newcomer = one.make_user(on=False)
        turn_on(here.signed_in(newcomer), newcomer)
        there.signed_in(newcomer, code=newcomer.code(steps_ahead=1))


def test_keys_can_be_rotated_machine_by_machine_without_refusing_a_code() -> None:
    with serving(TWOFACTOR_KEYS=OLD) as one:
        shared = {name: one.env[name] for name in ("DATABASE_URL", "SECRET_KEY", "TWOFACTOR_KEYS")}
        with serving(**shared) as other:
            veteran = one.make_user(on=False)
            turn_on(one.signed_in(veteran), veteran)
            for keys in (f"{OLD},{NEW}", f"{NEW},{OLD}", NEW):
                if keys == NEW:
                    assert "secrets that do not open: 0" in manage(one.env, "twofactor", "rotate-keys")
                for site in (one, other):
                    site.env["TWOFACTOR_KEYS"] = keys
                    site.restart()
                    assert_every_code_is_accepted(one, other, veteran)

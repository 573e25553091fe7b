"""System checks of the settings for passkeys. They are warnings: passkeys are then not offered there."""

from collections.abc import Iterator

from twofactor import conf, passkeys


def check_passkeys() -> Iterator[tuple[str, str, str]]:
    """Yield the number, the message and the hint of each finding."""
    if not conf.passkeys():
        return
    if not passkeys.is_domain(conf.rp_id()):
        yield (
            "W020",
            f"Passkeys are not offered, because they need a domain, and TWOFACTOR_RP_ID is {conf.rp_id()!r}.",
            'Set TWOFACTOR_SITE_URL = "https://example.com", or TWOFACTOR_PASSKEYS = False.',
        )
        return
    for origin in conf.origins():
        if not passkeys.is_usable(origin):
            yield (
                "W021",
                f"Passkeys are not offered at {origin!r} of TWOFACTOR_ORIGINS, because browsers refuse them there.",
                f"Use https, {conf.rp_id()} or a subdomain of it, and no path. http://localhost works, too.",
            )

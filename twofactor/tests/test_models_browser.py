"""The token of a trusted browser."""

from twofactor.models import TrustedBrowser


def test_the_token_of_a_trusted_browser_is_stored_as_its_sha_256():
    assert TrustedBrowser.digest_of("abc") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"

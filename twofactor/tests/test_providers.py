"""Names of passkey providers."""

from uuid import UUID

import pytest

from twofactor import providers
from twofactor.models.passkey import NAME_LENGTH


@pytest.mark.parametrize("aaguid, name", [
    ("ea9b8d66-4d01-1d21-3ce4-b6b48cb575d4", "Google Password Manager"),
    ("2FC0579F811347EAB116BB5A8DB9202A", "YubiKey 5 NFC"),
    ("00000000-0000-0000-0000-000000000000", ""),
    ("00000000-0000-0000-0000-000000000001", ""),
])  # fmt: skip
def test_a_known_provider_has_a_name(aaguid, name):
    assert providers.provider_of(UUID(aaguid)) == name


def test_every_aaguid_is_in_canonical_form_and_its_name_leaves_space_for_a_number():
    assert [aaguid for aaguid in providers._NAMES if str(UUID(aaguid)) != aaguid] == []
    assert max(map(len, providers._NAMES.values())) < NAME_LENGTH - 3

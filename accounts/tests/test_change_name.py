"""Changing the full name."""

import pytest

from accounts.models import User
from twofactor.tests.constants import HTMX
from twofactor.tests.helpers import new_client, sign_in
from twofactor.tests.responses import error_codes, inputs, messages_on, redirect_target

NAME = "/accounts/name/"


@pytest.fixture
def client(user):
    return sign_in(new_client(), user)


def test_the_form_has_the_name_and_saves_a_new_one(client):
    assert inputs(client.get(NAME))["full_name"]["value"] == "Ada Example"
    assert redirect_target(client.post(NAME, {"full_name": "Ada  King\n Lovelace "})) == "/"
    assert User.objects.get().full_name == "Ada King Lovelace", "One line and single spaces, as in a greeting."
    assert messages_on(client.get("/")) == ["Your name was changed."]
    assert redirect_target(client.post(NAME, {"full_name": "Ada"}, headers=HTMX)) == "/"


@pytest.mark.parametrize("name, error", [
    ("", "required"), (" \u3000 ", "required"), ("\u200b \u2060", "required"), ("x" * 151, "max_length"),
    *[(f"A{character}", "null_characters_not_allowed") for character in "\0\x01\x1b\u202e\u2066"],
])  # fmt: skip
def test_an_invalid_name_is_refused(client, name, error):
    page = client.post(NAME, {"full_name": name})
    assert page.status_code == 422
    assert error_codes(page.context["form"]) == {"full_name": [error]}
    assert User.objects.get().full_name == "Ada Example"


@pytest.mark.parametrize("name", ["\u0646\u200c\u0627", "\u200fאדה", "Ada 👩\u200d💻"])
def test_a_name_may_have_joiners_and_direction_marks(client, name):
    client.post(NAME, {"full_name": name})
    assert User.objects.get().full_name == name


def test_only_the_name_is_written(client, user):
    """A parallel request may change other columns."""
    User.objects.update(language="de")
    client.post(NAME, {"full_name": "Ada", "email": "other@example.com", "is_staff": "on"})
    changed = User.objects.get()
    assert (changed.full_name, changed.language, changed.email, changed.is_staff) == ("Ada", "de", user.email, False)


def test_the_account_page_links_to_it(client):
    assert f'href="{NAME}"' in client.get("/").content.decode()

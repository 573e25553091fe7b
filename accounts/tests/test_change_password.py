"""Wrong passwords on the site's password page count with those of the app's forms."""

from twofactor.tests.helpers import LOGIN, SETUP, new_client, redirect_target, sign_in


def test_the_tenth_wrong_password_on_both_pages_ends_the_session(user):
    client = sign_in(new_client(), user)
    for _ in range(9):
        client.post("/accounts/password/change/", {"oldpassword": "wrong", "password1": "zinc-Harbour-9-lantern"})
    assert redirect_target(client.post(SETUP, {"password": "wrong"})).startswith(LOGIN)

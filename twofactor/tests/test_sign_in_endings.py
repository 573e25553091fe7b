"""The message of the login page after a pending sign-in ended, and `next`."""

from urllib.parse import parse_qs, urlsplit

import pytest

from twofactor.models import AuthenticatorApp, SecondFactor
from twofactor.tests.constants import CANCEL_LOGIN, LOGIN, PASSWORD, SECRET, UNKNOWN_BACKUP_CODE, VERIFY_LOGIN
from twofactor.tests.helpers import age_sign_in, code_now, give_password, is_signed_in, wrong_code
from twofactor.tests.responses import inputs, messages_on, redirect_target

SIGNUP = "/accounts/signup/"
NEXT = "/accounts/email/?a=b&c=d"

EXPIRED = "Your sign-in took longer than ten minutes. Please sign in again."
WRONG_CODES = "Too many wrong codes. Please sign in again."
CHANGED = "Your password or two-factor authentication has just changed. Please sign in again."
REPLACED = "You started another sign-in or sign-up in this browser. Please sign in again."
ENDED = "That sign-in has ended. Please sign in again."


def change_password(client, user):
    user.set_password("another-9-Long-password")
    user.save()


def give_five_wrong_codes(client, user):
    for _ in range(5):
        client.post(VERIFY_LOGIN, {"backup_code": UNKNOWN_BACKUP_CODE})
    client.get(LOGIN)  # shows the message once


def sign_up(client, user):
    client.post(SIGNUP, {"email": "bob@example.com", "password1": PASSWORD})
    client.get("/")  # shows the message of allauth


ENDINGS = {
    "ten minutes": (lambda client, user: age_sign_in(client, 601), EXPIRED),
    "an hour, after which allauth has dropped it": (lambda client, user: age_sign_in(client, 3600), EXPIRED),
    "five wrong codes": (give_five_wrong_codes, WRONG_CODES),
    "a new password": (change_password, CHANGED),
    "2FA turned off": (lambda client, user: SecondFactor.objects.for_user(user).turn_off(), CHANGED),
    "a new phone": (lambda client, user: AuthenticatorApp.objects.activate(user, secret="B" * 32), CHANGED),
    "new backup codes": (lambda client, user: SecondFactor.objects.for_user(user).regenerate_backup_codes(), CHANGED),
    "a sign-up in another tab": (sign_up, REPLACED),
    "a deactivated account": (lambda client, user: type(user).objects.update(is_active=False), ENDED),
    "a deleted account": (lambda client, user: user.delete(), ENDED),
}


@pytest.fixture
def pending_client(signed_out_client, user, second_factor):
    give_password(signed_out_client, user, next=NEXT)
    return signed_out_client


def request_stage(client, method="get", path=VERIFY_LOGIN, **fields):
    """Send a request to the stage from the code page."""
    return getattr(client, method)(path, fields, headers={"HX-Current-URL": f"http://testserver{VERIFY_LOGIN}"})


def next_of(response):
    """Return `next` of a redirect to the login page."""
    target = urlsplit(redirect_target(response))
    assert target.path == LOGIN
    return parse_qs(target.query).get("next", [""])[0]


@pytest.mark.parametrize("method", ["get", "post"])
@pytest.mark.parametrize("end_sign_in, expected", ENDINGS.values(), ids=ENDINGS)
def test_the_login_page_says_why_the_sign_in_ended_and_keeps_next(pending_client, user, end_sign_in, expected, method):
    end_sign_in(pending_client, user)
    for each_method in (method, "get"):  # then a reload, or Back
        response = request_stage(pending_client, each_method, code=code_now(SECRET))
        assert next_of(response) == NEXT
        assert messages_on(pending_client.get(LOGIN))[-1:] == [expected]
    assert not is_signed_in(pending_client)


def test_without_a_session_the_message_says_that_the_sign_in_ended(signed_out_client, db):
    for method in ("get", "post"):
        assert redirect_target(request_stage(signed_out_client, method, code="123456")) == LOGIN
        assert messages_on(signed_out_client.get(LOGIN)) == [ENDED]


def test_after_cancel_next_is_kept_and_a_return_to_the_stage_shows_a_message(pending_client):
    response = request_stage(pending_client, "post", CANCEL_LOGIN)
    assert next_of(response) == NEXT
    page = pending_client.get(response["Location"])
    assert NEXT.replace("&", "&amp;") in page.content.decode()
    assert messages_on(page) == []
    assert next_of(request_stage(pending_client)) == NEXT
    assert messages_on(pending_client.get(LOGIN)) == [ENDED]


def test_a_new_sign_in_clears_the_message_of_the_last_one(pending_client, user, secret):
    give_five_wrong_codes(pending_client, user)
    SecondFactor.objects.update(failures=0, delayed_until=0)
    give_password(pending_client, user)
    assert messages_on(pending_client.get(VERIFY_LOGIN)) == []
    pending_client.post(VERIFY_LOGIN, {"code": code_now(secret)})
    assert is_signed_in(pending_client)


def test_opening_the_signup_page_does_not_end_the_sign_in(pending_client, secret):
    assert pending_client.get(SIGNUP).status_code == 200
    assert redirect_target(pending_client.post(VERIFY_LOGIN, {"code": code_now(secret)})) == NEXT


def test_a_code_from_the_first_tab_is_not_checked_for_the_sign_in_of_the_second(pending_client, bob, secret):
    first_tab = inputs(pending_client.get(VERIFY_LOGIN))["sign_in"]["value"]
    give_password(pending_client, bob)
    typed = {"code": code_now(secret), "sign_in": first_tab}
    assert redirect_target(request_stage(pending_client, "post", **typed)) == VERIFY_LOGIN
    page = pending_client.get(VERIFY_LOGIN)
    expected = "You started another sign-in in this browser. Enter the code for that one, or cancel it."
    assert messages_on(page)[-1:] == [expected]
    assert not SecondFactor.objects.filter(failures__gt=0).exists()
    second_tab = inputs(page)["sign_in"]["value"]
    response = pending_client.post(VERIFY_LOGIN, {"code": wrong_code("B" * 32), "sign_in": second_tab})
    assert inputs(response)["sign_in"]["value"] == second_tab
    pending_client.post(VERIFY_LOGIN, {"code": code_now("B" * 32), "sign_in": second_tab})
    assert pending_client.session["_auth_user_id"] == str(bob.pk)


def test_a_fifth_wrong_code_sent_twice_in_parallel_shows_the_message_in_both(pending_client, parallel_client):
    give_five_wrong_codes(pending_client, None)
    response = request_stage(parallel_client, "post", backup_code=UNKNOWN_BACKUP_CODE)
    assert next_of(response) == NEXT
    parallel_client.cookies["sessionid"] = pending_client.cookies["sessionid"].value  # the cookie of the other response
    assert messages_on(parallel_client.get(LOGIN)) == [WRONG_CODES]

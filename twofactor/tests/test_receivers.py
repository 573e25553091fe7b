"""Events of an account that allauth's signals report: sign-ins, and changes of the password and of addresses."""

import re

from allauth.account.models import EmailAddress, EmailConfirmationHMAC
from allauth.account.signals import email_confirmed

from twofactor import known_browsers, receivers
from twofactor.models import SecurityEvent
from twofactor.tests.constants import CHANGE_PASSWORD, EMAIL, LOGOUT, PASSWORD, REAUTHENTICATE
from twofactor.tests.helpers import code_now, new_client, sign_in
from twofactor.tests.rows import event_kinds

NEW_PASSWORD = "zinc-Harbour-9-lantern"
SECOND = "second@example.com"
FIREFOX = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"


def kinds():
    return list(SecurityEvent.objects.order_by("pk").values_list("kind", flat=True))


# --- Sign-ins -------------------------------------------------------------------------------------


def test_the_first_sign_in_and_those_from_the_same_browser_are_recorded_and_not_emailed(user, emails_to):
    browser = new_client(HTTP_USER_AGENT=FIREFOX, REMOTE_ADDR="192.0.2.7")
    for _ in range(2):
        sign_in(browser, user)
        browser.post(LOGOUT)
    assert kinds() == ["signed_in", "signed_in"]
    event = SecurityEvent.objects.latest("pk")
    assert (event.ip, event.browser) == ("192.0.2.7", "Firefox on Linux")
    assert not emails_to(user.email)


def test_a_sign_in_from_another_browser_is_an_event_and_an_email_once(user, emails_to):
    sign_in(new_client(), user)
    browser = new_client(HTTP_USER_AGENT=FIREFOX, REMOTE_ADDR="192.0.2.7")
    for _ in range(2):
        sign_in(browser, user)
        browser.post(LOGOUT)
    assert kinds() == ["signed_in", "new_browser", "signed_in"]
    (email,) = emails_to(user.email)
    assert "new browser" in email.subject
    assert "Firefox on Linux" in email.body
    assert "192.0.2.7" in email.body
    assert "fifth" not in email.body
    assert "http://testserver/accounts/2fa/not-me/" in email.body


def test_a_password_without_its_code_is_no_sign_in(pending_client, secret):
    assert kinds() == []
    pending_client.post("/accounts/2fa/verify-login/", {"code": code_now(secret)})
    assert kinds() == ["signed_in"]


def test_five_emails_a_day_are_sent_and_the_fifth_says_that_it_is_the_last(user, make_user, emails_to):
    sign_in(new_client(), user)
    sign_in(new_client(), bob := make_user("bob@example.com"))
    for _ in range(7):
        sign_in(new_client(), user)
    assert kinds()[2:] == ["new_browser"] * 7
    assert ["fifth" in email.body for email in emails_to(user.email)] == [False] * 4 + [True]
    sign_in(new_client(), bob)
    assert len(emails_to(bob.email)) == 1


def test_a_sign_in_that_code_reports_without_a_request_is_recorded(user, mailoutbox):
    for _ in range(2):
        receivers.record_sign_in(None, user)
    assert kinds() == ["signed_in", "signed_in"]


def test_the_setting_turns_the_email_off_and_not_the_event(user, emails_to, settings):
    settings.TWOFACTOR_NEW_BROWSER_EMAIL = False
    for _ in range(2):
        sign_in(new_client(), user)
    assert kinds() == ["signed_in", "new_browser"]
    assert not emails_to(user.email)


def test_the_email_describes_the_browser_and_repeats_nothing_that_it_sent(user, emails_to):
    sign_in(new_client(), user)
    sign_in(new_client(HTTP_USER_AGENT="Firefox; call 0900-1234567 http://evil.example"), user)
    (email,) = emails_to(user.email)
    assert "Firefox" in email.body
    assert not re.search("0900|evil", email.body + email.alternatives[0].content)


def test_a_sign_in_after_a_password_reset_in_the_same_browser_is_one_from_a_new_browser(user, rf):
    sign_in(new_client(), user)
    browser = new_client()
    response = browser.get("/")
    known_browsers.remember_reset(rf.get("/"), response, user)
    browser.cookies.update(response.cookies)
    sign_in(browser, user)
    assert kinds() == ["signed_in", "new_browser"]


# --- Password and addresses -----------------------------------------------------------------------


def test_a_changed_and_a_set_password_are_recorded(signed_in_client, user):
    fields = {"oldpassword": PASSWORD, "password": NEW_PASSWORD, "password1": NEW_PASSWORD, "password2": NEW_PASSWORD}
    signed_in_client.post(CHANGE_PASSWORD, fields)
    assert event_kinds() == ["password_changed"]
    user.set_unusable_password()
    user.save()
    (browser := new_client()).force_login(user)
    browser.post("/accounts/password/set/", {"password1": NEW_PASSWORD, "password2": NEW_PASSWORD})
    assert event_kinds() == ["password_changed"] * 2


def test_a_reset_password_is_recorded(user, emails_to):
    browser = new_client()
    browser.post("/accounts/password/reset/", {"email": user.email})
    (link,) = re.findall(r"http://testserver(\S+/key/\S+)", emails_to(user.email)[-1].body)
    browser.post(browser.get(link)["Location"], {"password1": NEW_PASSWORD, "password2": NEW_PASSWORD})
    assert event_kinds() == ["password_reset"]


def test_changes_of_addresses_are_recorded(signed_in_client, user):
    signed_in_client.post(REAUTHENTICATE, {"password": PASSWORD})
    signed_in_client.post(EMAIL, {"action_add": "", "email": SECOND})
    key = EmailConfirmationHMAC(EmailAddress.objects.get(email=SECOND)).key
    signed_in_client.post(f"/accounts/confirm-email/{key}/")
    signed_in_client.post(EMAIL, {"action_primary": "", "email": SECOND})
    signed_in_client.post(EMAIL, {"action_remove": "", "email": user.email})
    assert event_kinds() == ["email_added", "email_confirmed", "email_changed", "email_removed"]


def test_the_first_confirmed_address_completes_the_sign_up_and_is_not_recorded(user, rf):
    email_confirmed.send(EmailAddress, request=rf.get("/"), email_address=EmailAddress.objects.get(user=user))
    assert event_kinds() == []


def test_an_address_that_staff_confirm_is_recorded_without_their_ip(user, bob, rf):
    second = EmailAddress.objects.create(user=user, email=SECOND)
    for signed_in, expected in ((user, "127.0.0.1"), (bob, None)):
        request = rf.get("/")
        request.user = signed_in
        receivers.record_confirmed_email(request, second)
        assert SecurityEvent.objects.latest("pk").ip == expected

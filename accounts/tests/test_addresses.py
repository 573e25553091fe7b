"""An email address belongs to the account that confirmed it."""

import logging
import re
from contextlib import nullcontext

import pytest
from allauth.account.adapter import get_adapter
from allauth.account.models import EmailAddress, EmailConfirmationHMAC
from allauth.core import context
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import Group, Permission
from django.core.exceptions import ValidationError
from django.utils import timezone

from accounts.addresses import Taken, owner_of, prepare_confirmation, reject
from accounts.forms import ResetPasswordKeyForm
from accounts.models import User
from config.messages import CookieStorage
from twofactor.models import AuthenticatorApp, SecondFactor
from twofactor.tests.constants import PASSWORD, SECRET
from twofactor.tests.helpers import code_now, give_password, is_signed_in, new_client, sign_in, sign_in_with_2fa

pytestmark = pytest.mark.database

SIGNUP, EMAIL, REAUTHENTICATE = "/accounts/signup/", "/accounts/email/", "/accounts/2fa/reauthenticate/"
RESET = "/accounts/password/reset/"
SHARED = "shared@example.com"
NEWCOMER = {"full_name": "Bob New", "email": SHARED, "password1": "basalt-9-Lantern-heron"}
NEW_OWNER = {"full_name": "Real Owner", "language": "de", "password1": "cobalt-3-Harbour-wren"}


@pytest.fixture
def sign_up(db):
    """Return a function that creates an account whose address is not confirmed."""

    def make(email=SHARED, **fields):
        user = User.objects.create_user(email, "first-come-first-serve", **fields)
        EmailAddress.objects.create(user=user, email=email, primary=True)
        return user

    return make


@pytest.fixture
def signed_up_client(client, db):
    client.post(SIGNUP, NEWCOMER)
    return client


def claim(user, email=SHARED, **fields):
    """Add an address to an account, unconfirmed by default."""
    return EmailAddress.objects.create(user=user, email=email, **fields)


def step_up(client, **fields):
    client.post(REAUTHENTICATE, {"password": PASSWORD, **fields})
    return client


def change(client, action, email=SHARED):
    """Add an address, make it primary or remove it. Return the page after it."""
    return client.post(EMAIL, {f"action_{action}": "1", "email": email}, follow=True)


def link_to(claim):
    return f"/accounts/confirm-email/{EmailConfirmationHMAC(claim).key}/"


def owners():
    return [row.user for row in EmailAddress.objects.filter(email=SHARED, verified=True)]


def primary(user):
    """Return the two records of the primary address, which must be equal."""
    user.refresh_from_db()
    return user.email, EmailAddress.objects.get_primary(user).email


# --- Spelling, sign-in and sign-up ----------------------------------------------------------------


@pytest.mark.parametrize("domain, is_accepted", [
    ("EXAMPLE.com", True), ("exämple.com", True), ("xn--exmple-cua.com", True), ("[127.0.0.1]", True),
    ("xn--strae-oqa.de", True), ("xn--zzzzzzzz.com", True), ("İ" * 28 + ".com", True),
    ("ｅxample.com", False), ("eⓧample.com", False), ("ex\u00adample.com", False), ("straße.de", False),
    ("xn--strae-oqa.ｄe", False), (".".join(["İ" * 28] * 6) + ".com", False),
])  # fmt: skip
def test_only_the_canonical_spelling_of_a_new_address_is_accepted(domain, is_accepted):
    """Other spellings would allow several accounts for one mailbox. In lower case, İ is two characters long."""
    with nullcontext() if is_accepted else pytest.raises(ValidationError):
        get_adapter().clean_email(f"{'a' * 60}@{domain}".lower())


def test_sign_up_and_the_address_page_refuse_another_spelling(user):
    page = change(step_up(sign_in(new_client(), user)), "add", "ada@ｅxample.com")
    for response in (page, new_client().post(SIGNUP, {**NEWCOMER, "email": "ada@ｅxample.com"})):
        assert response.context["form"].has_error("email", "invalid")


def test_an_address_signs_in_the_account_that_confirmed_it_or_else_signed_up_with_it(user, sign_up):
    further = claim(user)
    assert owner_of(SHARED) is None
    holder = sign_up()
    assert owner_of(SHARED) == holder
    claim(holder, "second@example.com", verified=True)
    assert owner_of(SHARED) is None
    further.set_verified()
    assert owner_of(SHARED.upper()) == user


def test_one_sign_in_checks_one_password(make_user, sign_up, monkeypatch):
    owner = sign_up()
    for number in range(5):
        claim(make_user(f"claimant{number}@example.com"))
    checked = []
    monkeypatch.setattr(User, "check_password", lambda self, password: checked.append(self.pk))
    give_password(new_client(), owner, password="wrong-wrong-wrong")
    assert checked == [owner.pk]


def test_an_unconfirmed_sign_up_and_a_confirmed_second_address_count_as_taken(user, sign_up, emails_to):
    claim(user, "second@example.com", verified=True)
    sign_up()
    for email in (SHARED, "second@example.com"):
        new_client().post(SIGNUP, {**NEWCOMER, "email": email})
        assert "tried to sign up" in emails_to(email)[-1].body
    assert not User.objects.filter(full_name="Bob New").exists()


def test_concurrent_sign_ups_create_one_account(db, monkeypatch):
    """The other sign-up is saved between the look-up and the insert."""
    monkeypatch.setattr("accounts.addresses.owner_of", lambda email: None)
    assert [new_client().post(SIGNUP, NEWCOMER).status_code for _ in range(2)] == [302, 302]
    assert User.objects.filter(email=SHARED).count() == 1


# --- Confirmation of a new account ----------------------------------------------------------------


def test_the_browser_that_signed_up_confirms_with_one_click_and_the_link_works_once(signed_up_client):
    link = link_to(EmailAddress.objects.get())
    assert "password1" not in signed_up_client.get(link).content.decode()
    signed_up_client.post(link)
    (owner,) = owners()
    assert owner.check_password(NEWCOMER["password1"])
    assert not is_signed_in(signed_up_client)
    response = signed_up_client.post(link)
    assert response.status_code == 404
    assert "This link no longer works" in response.content.decode()


def test_another_browser_must_set_a_new_password(signed_up_client):
    link = link_to(EmailAddress.objects.get())
    other = new_client()
    assert list(other.get(link).context["form"].fields) == ["full_name", "language", "password1"]
    refused = other.post(link, {**NEW_OWNER, "password1": "short", "language": "xx"})
    assert (refused.status_code, refused.context["form"].errors.keys()) == (422, {"password1", "language"})
    assert owners() == []
    other.post(link, NEW_OWNER)
    assert not is_signed_in(other)
    (owner,) = owners()
    assert owner.check_password(NEW_OWNER["password1"])
    assert (owner.full_name, owner.language) == ("Real Owner", "de")


def test_a_confirmation_link_sets_no_password_for_an_account_in_use(user):
    form = ResetPasswordKeyForm({"password1": NEW_OWNER["password1"]}, user=user, claim=claim(user))
    assert form.has_error("__all__", "email_taken")


def test_a_reset_link_sets_no_password_once_another_account_has_confirmed_the_address(user, sign_up):
    holder = sign_up()
    claim(user, verified=True)
    assert ResetPasswordKeyForm(NEW_OWNER, user=holder).has_error("__all__", "email_taken")


def test_a_link_confirms_the_address_that_it_was_sent_to(sign_up):
    holder = sign_up("first@example.com")
    new_client().post(link_to(claim(holder)), NEW_OWNER)
    assert owners() == [holder]
    assert primary(holder) == (SHARED, SHARED)


@pytest.mark.parametrize("path", [RESET, SIGNUP])
def test_a_password_reset_confirms_a_new_account(sign_up, emails_to, path):
    holder = sign_up()
    new_client().post(path, NEWCOMER)
    (link,) = re.findall(r"http://testserver(\S+/password/reset/key/\S+)", emails_to(SHARED)[-1].body)
    client = new_client()
    client.post(client.get(link)["Location"], NEW_OWNER)
    assert owners() == [holder]
    holder.refresh_from_db()
    assert holder.check_password(NEW_OWNER["password1"])
    assert holder.full_name == "Real Owner"


# --- Confirmation of a second address -------------------------------------------------------------


def test_confirming_a_second_address_requires_a_session_of_its_account(user, make_user):
    link = link_to(claim(user))
    bob = make_user("bob@example.com")
    claim(bob)
    AuthenticatorApp.objects.activate(user, secret=SECRET)
    give_password(pending := new_client(), user)
    browsers = [new_client(), pending, sign_in(new_client(), bob)]
    for client in browsers:
        assert client.get(link).status_code == 200
        assert client.post(link).status_code == 403
    assert owners() == []
    assert [is_signed_in(client) for client in browsers] == [False, False, True]
    SecondFactor.objects.all().delete()
    assert sign_in(new_client(), user).post(link)["Location"] == EMAIL
    assert owners() == [user]
    assert EmailAddress.objects.filter(email=SHARED).count() == 1, "The claim of the other account remains."


def test_the_page_and_the_email_show_the_masked_address_of_the_account(make_user, emails_to):
    user = make_user("ada.lovelace@buy-this.example.com")
    change(step_up(sign_in(new_client(), user)), "add")
    page = new_client().get(link_to(EmailAddress.objects.get(email=SHARED))).content.decode()
    for text in (emails_to(SHARED)[-1].body, page):
        assert "a•••@b•••.com" in text
        assert user.email not in text
        assert user.full_name not in text


def test_an_address_confirmed_by_another_account_is_refused_with_a_message(user, make_user):
    link = link_to(claim(user))
    bob = make_user("bob@example.com")
    claim(bob, verified=True)
    response = sign_in(new_client(), user).post(link, follow=True)
    assert "belongs to another account" in response.content.decode()
    assert owners() == [bob]


@pytest.mark.parametrize("removed", [EmailAddress, User], ids=["address", "account"])
def test_a_concurrently_removed_address_is_not_created_again(user, rf, removed):
    address = EmailAddress.objects.get(pk=claim(user).pk)
    removed.objects.all().delete()
    request = rf.get("/")
    request._messages = CookieStorage(request)
    with context.request_context(request):
        assert not get_adapter().confirm_email(request, address)
    assert not EmailAddress.objects.exists()


# --- A sign-up that was never confirmed -----------------------------------------------------------


def test_an_unused_sign_up_is_deleted_when_the_owner_confirms_the_address(user, sign_up, caplog):
    holder = sign_up()
    client = sign_in(new_client(), user)
    with caplog.at_level(logging.INFO, "accounts"):
        client.post(link_to(claim(user)))
    assert not User.objects.filter(email=SHARED).exists()
    assert f"event=unconfirmed_account_removed user={holder.pk}" in caplog.text
    sign_up()
    change(step_up(client), "primary")
    assert primary(user) == (SHARED, SHARED)
    assert User.objects.count() == 1


def test_an_account_with_another_confirmed_address_loses_only_the_unconfirmed_one(user, sign_up):
    """Something outside accounts/addresses.py changed its `User.email`."""
    holder = sign_up()
    claim(holder, "third@example.com", verified=True)
    prepare_confirmation(claim(user))
    assert primary(holder) == ("third@example.com",) * 2
    assert not holder.emailaddress_set.filter(email=SHARED).exists()


@pytest.mark.parametrize("use", [
    lambda holder: User.objects.filter(pk=holder.pk).update(last_login=timezone.now()),
    lambda holder: User.objects.filter(pk=holder.pk).update(is_staff=True),
    lambda holder: User.objects.filter(pk=holder.pk).update(is_superuser=True),
    lambda holder: holder.groups.add(Group.objects.create(name="editors")),
    lambda holder: holder.user_permissions.add(Permission.objects.first()),
    lambda holder: AuthenticatorApp.objects.activate(holder, secret=SECRET),
    lambda holder: LogEntry.objects.create(user=holder, action_flag=1),
    lambda holder: holder.security_events.create(kind="locked"),
], ids=["signed in", "staff", "superuser", "group", "permission", "2FA", "admin log", "event"])  # fmt: skip
def test_an_account_in_use_keeps_its_unconfirmed_address(user, sign_up, use):
    holder = sign_up()
    use(holder)
    address = claim(user)
    with pytest.raises(Taken):
        prepare_confirmation(address)
    with pytest.raises(Taken):
        reject(EmailAddress.objects.get(user=holder))
    assert set(EmailAddress.objects.filter(email=SHARED).values_list("user", flat=True)) == {holder.pk, user.pk}


# --- "This wasn't me" -----------------------------------------------------------------------------


def test_only_a_post_rejects_an_unconfirmed_address(user):
    link = link_to(claim(user)) + "not-me/"
    new_client().get(link)
    assert EmailAddress.objects.filter(email=SHARED).exists()
    new_client().post(link)
    assert not EmailAddress.objects.filter(email=SHARED).exists()
    assert User.objects.filter(pk=user.pk).exists()
    assert "no longer works" in new_client().post(link).content.decode()


def test_rejecting_a_sign_up_deletes_the_account_unless_it_is_in_use(signed_up_client):
    link = link_to(EmailAddress.objects.get()) + "not-me/"
    User.objects.update(is_staff=True)
    assert new_client().post(link).status_code == 409
    User.objects.update(is_staff=False)
    new_client().post(link)
    assert not User.objects.exists()


def test_a_concurrently_confirmed_account_is_not_deleted(signed_up_client):
    address = EmailAddress.objects.get()
    signed_up_client.post(link_to(address))
    with pytest.raises(Taken):
        reject(address)
    assert len(owners()) == 1


# --- Other writers of an address ------------------------------------------------------------------


@pytest.mark.parametrize("action, email", [("add", "new@example.com"), ("primary", SHARED), ("remove", SHARED)])
def test_every_change_of_an_address_requires_password_and_code(user, action, email):
    client = sign_in_with_2fa(user)
    claim(user, verified=True)
    rows = EmailAddress.objects.order_by("pk").values("email", "primary")
    before = list(rows)
    for password, code in ((PASSWORD, ""), (PASSWORD, "000000"), ("wrong", code_now(SECRET))):
        step_up(client, password=password, code=code)
        answer = client.post(EMAIL, {f"action_{action}": "", "email": email})
        assert answer["Location"].startswith(REAUTHENTICATE)
        assert list(rows.all()) == before
    change(step_up(client, code=code_now(SECRET)), action, email)
    assert list(rows.all()) != before


def test_an_unconfirmed_address_gets_no_password_reset_and_no_notification(user, emails_to, rf):
    claim(user)
    new_client().post(RESET, {"email": SHARED})
    with context.request_context(rf.get("/")):
        get_adapter().send_notification_mail("account/email/password_changed", user, email=SHARED)
    (email,) = emails_to(SHARED)
    assert "there's no account with this email address" in email.body


@pytest.mark.parametrize("verified, message", [
    (False, "Confirm the address first"), (True, "belongs to another account"),
])  # fmt: skip
def test_an_unconfirmed_address_or_one_of_an_account_in_use_cannot_be_made_primary(user, sign_up, verified, message):
    sign_up(is_staff=True)
    claim(user, verified=verified)
    assert message in change(step_up(sign_in(new_client(), user)), "primary").content.decode()
    assert primary(user) == ("ada@example.com",) * 2


def test_the_address_of_the_account_cannot_be_removed(user):
    claim(user, verified=True)
    user.emailaddress_set.update(primary=False)  # as by a parallel request
    change(step_up(sign_in(new_client(), user)), "remove", user.email)
    assert user.emailaddress_set.filter(email=user.email).exists()


def test_create_superuser_takes_over_unconfirmed_addresses_only(user):
    claim(user)
    User.objects.create_superuser(SHARED, PASSWORD)
    assert EmailAddress.objects.get(email=SHARED).user.is_superuser
    claim(user, "root@example.com", verified=True)
    with pytest.raises(ValidationError):
        User.objects.create_superuser("root@example.com", PASSWORD)
    assert not User.objects.filter(email="root@example.com").exists()


# --- The complete attack --------------------------------------------------------------------------


@pytest.mark.parametrize("claimed", ["before", "after"])
def test_an_attacker_with_2fa_cannot_lock_the_owner_out(user, client, claimed):
    """The attacker adds the owner's address before or after turning on 2FA. The owner can still sign up with it."""
    if claimed == "after":
        change(step_up(sign_in_with_2fa(user), code=code_now(SECRET)), "add")
    else:
        change(step_up(sign_in(new_client(), user)), "add")
        AuthenticatorApp.objects.activate(user, secret=SECRET)
    assert EmailAddress.objects.filter(user=user, email=SHARED, verified=False).exists()

    client.post(SIGNUP, NEWCOMER)
    owner = User.objects.get(email=SHARED)
    client.post(link_to(EmailAddress.objects.get(user=owner)))
    give_password(client, owner, password=NEWCOMER["password1"])
    assert client.session["_auth_user_id"] == str(owner.pk)

"""An email address belongs to the account that confirmed it."""

import re

import pytest
from allauth.account.adapter import get_adapter
from allauth.account.models import EmailAddress, EmailConfirmationHMAC
from allauth.account.utils import url_str_to_user_pk
from allauth.core import context
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import Group, Permission
from django.core.exceptions import ValidationError
from django.utils import timezone

from accounts.addresses import Taken, masked, owner_of, reject
from accounts.forms import ResetPasswordKeyForm
from accounts.models import User
from config.messages import CookieStorage
from conftest import PASSWORD, SECRET
from twofactor.models import Authenticator
from twofactor.tests.helpers import (
    code_now,
    error_codes,
    errors,
    give_password,
    inputs,
    is_signed_in,
    new_client,
    redirect_target,
    sign_in,
)

SIGNUP, EMAIL, REAUTHENTICATE = "/accounts/signup/", "/accounts/email/", "/accounts/2fa/reauthenticate/"
SHARED = "shared@example.com"
NEWCOMER = {"full_name": "Bob New", "email": SHARED, "password1": "basalt-9-Lantern-heron"}
NEW_OWNER = {"full_name": "Real Owner", "language": "de", "password1": "cobalt-3-Harbour-wren"}


@pytest.fixture
def sign_up(db):
    """Return a function that creates an account whose address is not confirmed."""

    def make(email=SHARED, **fields):
        user = User.objects.create_user(email, fields.pop("password", "first-come-first-serve"), **fields)
        EmailAddress.objects.create(user=user, email=email, primary=True)
        return user

    return make


def claim(user, email=SHARED):
    """Add an unconfirmed address to an account."""
    return EmailAddress.objects.create(user=user, email=email)


def step_up(client, **code):
    """Pass the step-up page."""
    client.post(REAUTHENTICATE, {"password": PASSWORD, **code})


def test_a_masked_address_shows_initials_and_the_top_level_domain():
    assert masked("ada.lovelace@buy-this.example.com") == "a•••@b•••.com"


@pytest.mark.parametrize("domain, is_accepted", [
    ("example.com", True), ("EXAMPLE.com", True), ("exämple.com", True), ("xn--exmple-cua.com", True),
    ("[127.0.0.1]", True), ("xn--strae-oqa.de", True),
    ("ｅxample.com", False), ("eⓧample.com", False), ("ex\u00adample.com", False), ("straße.de", False),
    ("xn--strae-oqa.ｄe", False), ("xn--zzzzzzzz.com", True),
    ("İ" * 28 + ".com", True), (".".join(["İ" * 28] * 6) + ".com", False),
])  # fmt: skip
def test_only_the_canonical_spelling_of_a_new_address_is_accepted(user, domain, is_accepted):
    """Other spellings would allow several accounts for one mailbox. In lower case, İ is two characters long."""
    email = f"{'a' * 60}@{domain}"
    assert bool(new_client().post(SIGNUP, {**NEWCOMER, "email": email}).status_code == 302) is is_accepted
    User.objects.exclude(pk=user.pk).delete()
    client = sign_in(new_client(), user)
    step_up(client)
    client.post(EMAIL, {"action_add": "1", "email": email})
    assert EmailAddress.objects.filter(user=user, email=email.lower()).exists() is is_accepted


# --- Sign-in --------------------------------------------------------------------------------------


def test_an_address_signs_in_the_account_that_confirmed_it(user, sign_up):
    sign_up()
    EmailAddress.objects.create(user=user, email=SHARED, verified=True)
    assert owner_of(SHARED.upper()) == user


def test_an_unconfirmed_address_signs_in_the_account_that_signed_up_with_it(user, sign_up):
    owner = sign_up()
    claim(user)
    assert owner_of(SHARED) == owner


def test_an_unconfirmed_second_address_does_not_sign_in(user):
    claim(user)
    assert owner_of(SHARED) is None
    client = new_client()
    client.post("/accounts/login/", {"login": SHARED, "password": "umbel-4-Quarry-thimble"})
    assert not is_signed_in(client)


def test_one_sign_in_checks_one_password(user, make_user, sign_up, monkeypatch):
    owner = sign_up()
    for number in range(5):
        claim(make_user(f"claimant{number}@example.com"))
    checked = []
    monkeypatch.setattr(User, "check_password", lambda self, password: checked.append(self.pk))
    give_password(new_client(), owner, password="wrong-wrong-wrong")
    assert checked == [owner.pk]


# --- Sign-up --------------------------------------------------------------------------------------


def test_an_unconfirmed_address_does_not_block_the_sign_up_of_its_owner(user):
    claim(user)
    new_client().post(SIGNUP, NEWCOMER)
    new_user = User.objects.get(email=SHARED)
    assert EmailAddress.objects.get(user=new_user, email=SHARED).primary


def test_an_unconfirmed_sign_up_counts_as_taken(sign_up, emails_to):
    sign_up()
    new_client().post(SIGNUP, NEWCOMER)
    assert User.objects.filter(full_name="Bob New").count() == 0
    assert "tried to sign up" in emails_to(SHARED)[-1].body


def test_concurrent_sign_ups_create_one_account(db, monkeypatch):
    """The other sign-up is saved between the look-up and the insert."""
    monkeypatch.setattr("accounts.addresses.owner_of", lambda email: None)
    assert [new_client().post(SIGNUP, NEWCOMER).status_code for _ in range(2)] == [302, 302]
    assert User.objects.filter(email=SHARED).count() == 1


# --- Confirmation of a new account ----------------------------------------------------------------


@pytest.fixture
def signed_up_client(db):
    """A client that signed up and has not confirmed the address yet."""
    client = new_client()
    client.post(SIGNUP, NEWCOMER)
    return client


def link_to(email, user=None):
    addresses = EmailAddress.objects.filter(email=email, **({"user": user} if user else {}))
    return f"/accounts/confirm-email/{EmailConfirmationHMAC(addresses.get()).key}/"


def is_confirmed(email, user=None):
    return EmailAddress.objects.filter(email=email, verified=True, **({"user": user} if user else {})).exists()


def test_the_browser_that_signed_up_confirms_with_one_click(signed_up_client):
    link = link_to(SHARED)
    assert "password1" not in inputs(signed_up_client.get(link))
    signed_up_client.post(link)
    assert is_confirmed(SHARED)
    assert User.objects.get().check_password(NEWCOMER["password1"])


def test_a_used_confirmation_link_no_longer_works(signed_up_client):
    link = link_to(SHARED)
    signed_up_client.post(link)
    response = signed_up_client.post(link)
    assert response.status_code == 404
    assert "This link no longer works" in response.content.decode()


def test_another_browser_must_set_a_new_password(signed_up_client):
    link = link_to(SHARED)
    other = new_client()
    page = other.get(link)
    assert list(page.context["form"].fields) == ["full_name", "language", "password1"]
    other.post(link)
    assert not is_confirmed(SHARED)
    other.post(link, NEW_OWNER)
    owner = User.objects.get()
    assert is_confirmed(SHARED)
    assert owner.check_password(NEW_OWNER["password1"])
    assert (owner.full_name, owner.language) == ("Real Owner", "de")


def test_an_invalid_new_password_shows_an_error_at_the_field(signed_up_client):
    response = new_client().post(link_to(SHARED), {**NEW_OWNER, "password1": "short", "language": "xx"})
    assert response.status_code == 422
    assert set(errors(response)) == {"password1", "language"}
    assert not is_confirmed(SHARED)


def test_a_confirmation_link_sets_no_password_for_an_account_in_use(user):
    form = ResetPasswordKeyForm({"password1": NEW_OWNER["password1"]}, user=user, claim=claim(user))
    assert error_codes(form) == {"__all__": ["email_taken"]}


def test_a_link_confirms_the_address_that_it_was_sent_to(sign_up):
    holder = sign_up()
    claim(holder, "second@example.com")
    new_client().post(link_to("second@example.com"), NEW_OWNER)
    assert [row.email for row in EmailAddress.objects.filter(verified=True)] == ["second@example.com"]
    holder.refresh_from_db()
    assert holder.email == "second@example.com"


@pytest.mark.parametrize("ask", [
    lambda: new_client().post("/accounts/password/reset/", {"email": SHARED}),
    lambda: new_client().post(SIGNUP, NEWCOMER),
])  # fmt: skip
def test_a_password_reset_confirms_a_new_account(sign_up, emails_to, ask):
    holder = sign_up()
    ask()
    (link,) = re.findall(r"http://testserver(\S+/password/reset/key/\S+)", emails_to(SHARED)[-1].body)
    client = new_client()
    client.post(redirect_target(client.get(link)), NEW_OWNER)
    holder.refresh_from_db()
    assert is_confirmed(SHARED, holder)
    assert holder.check_password(NEW_OWNER["password1"])
    assert holder.full_name == "Real Owner"


# --- Confirmation of a second address -------------------------------------------------------------


def test_confirming_a_second_address_requires_a_session_of_its_account(user, make_user):
    claim(user)
    link = link_to(SHARED)
    bob = sign_in(new_client(), make_user("bob@example.com"))
    for client in (new_client(), bob):
        assert client.get(link).status_code == 200
        assert client.post(link).status_code == 403
        assert not is_confirmed(SHARED)
    assert is_signed_in(bob)
    sign_in(new_client(), user).post(link)
    assert is_confirmed(SHARED)


def test_the_page_and_the_email_show_the_masked_address_of_the_account(user, emails_to):
    client = sign_in(new_client(), user)
    step_up(client)
    client.post(EMAIL, {"action_add": "1", "email": SHARED})
    for text in (emails_to(SHARED)[-1].body, new_client().get(link_to(SHARED)).content.decode()):
        assert "a•••@e•••.com" in text
        assert user.email not in text
        assert user.full_name not in text


def test_a_confirmation_deletes_unconfirmed_rows_of_other_accounts(user, make_user):
    claim(make_user("bob@example.com"))
    claim(user)
    sign_in(new_client(), user).post(link_to(SHARED, user))
    assert EmailAddress.objects.get(email=SHARED).user == user


def test_an_address_confirmed_by_another_account_is_refused_with_a_message(user, make_user):
    claim(user)
    client = sign_in(new_client(), user)
    link = link_to(SHARED)
    EmailAddress.objects.create(user=make_user("bob@example.com"), email=SHARED, verified=True)
    assert "belongs to another account" in client.post(link, follow=True).content.decode()
    assert not is_confirmed(SHARED, user)


@pytest.mark.parametrize("removed", [EmailAddress, User], ids=["address", "account"])
def test_a_concurrently_removed_address_is_not_created_again(user, rf, removed):
    address = EmailAddress.objects.get(pk=claim(user).pk)
    removed.objects.all().delete()
    request = rf.get("/")
    request._messages = CookieStorage(request)
    with context.request_context(request):
        assert not get_adapter().confirm_email(request, address)
    assert not EmailAddress.objects.exists()


def test_a_confirmed_address_replaces_an_unconfirmed_primary_one(sign_up):
    """If an account has a confirmed address, `User.email` is a confirmed address."""
    holder = sign_up()
    claim(holder, "second@example.com")
    client = new_client()
    client.force_login(holder)
    EmailAddress.objects.create(user=holder, email="third@example.com", verified=True)
    client.post(link_to("second@example.com"))
    holder.refresh_from_db()
    assert (holder.email, EmailAddress.objects.get_primary(holder).email) == ("second@example.com",) * 2


# --- A sign-up that was never confirmed -----------------------------------------------------------


def test_an_unused_sign_up_is_deleted_when_the_owner_confirms_the_address(user, sign_up):
    sign_up()
    claim(user)
    client = sign_in(new_client(), user)
    client.post(link_to(SHARED, user))
    assert not User.objects.filter(email=SHARED).exists()
    step_up(client)
    client.post(EMAIL, {"action_primary": "1", "email": SHARED})
    user.refresh_from_db()
    assert (user.email, EmailAddress.objects.get_primary(user).email) == (SHARED, SHARED)


def set_field(field, value):
    return lambda holder: User.objects.filter(pk=holder.pk).update(**{field: value})


@pytest.mark.parametrize("use", [
    set_field("last_login", timezone.now()), set_field("is_staff", True), set_field("is_superuser", True),
    lambda holder: holder.groups.add(Group.objects.create(name="editors")),
    lambda holder: holder.user_permissions.add(Permission.objects.first()),
    lambda holder: Authenticator.objects.activate(holder, secret=SECRET),
    lambda holder: LogEntry.objects.create(user=holder, action_flag=1),
    lambda holder: holder.security_events.create(kind="locked"),
], ids=["signed in", "staff", "superuser", "group", "permission", "2FA", "admin log", "event"])  # fmt: skip
def test_an_account_in_use_keeps_its_unconfirmed_address(user, sign_up, use):
    holder = sign_up()
    use(holder)
    claim(user)
    client = sign_in(new_client(), user)
    assert "belongs to another account" in client.post(link_to(SHARED, user), follow=True).content.decode()
    assert not is_confirmed(SHARED)
    assert set(EmailAddress.objects.filter(email=SHARED).values_list("user", flat=True)) == {holder.pk, user.pk}


# --- "This wasn't me" -----------------------------------------------------------------------------


def test_only_a_post_rejects_an_unconfirmed_address(user):
    claim(user)
    link = link_to(SHARED) + "not-me/"
    new_client().get(link)
    assert EmailAddress.objects.filter(email=SHARED).exists()
    new_client().post(link)
    assert not EmailAddress.objects.filter(email=SHARED).exists()
    assert "no longer works" in new_client().post(link).content.decode()


def test_rejecting_a_sign_up_deletes_the_account(signed_up_client):
    new_client().post(link_to(SHARED) + "not-me/")
    assert not User.objects.exists()


def test_a_confirmed_address_cannot_be_rejected(signed_up_client):
    link = link_to(SHARED)
    signed_up_client.post(link)
    new_client().post(link + "not-me/")
    assert is_confirmed(SHARED)


def test_a_concurrently_confirmed_account_is_not_deleted(signed_up_client):
    address = EmailAddress.objects.get()
    signed_up_client.post(link_to(SHARED))
    with pytest.raises(Taken):
        reject(address)
    assert is_confirmed(SHARED)


def test_an_account_in_use_cannot_be_rejected(sign_up):
    sign_up(is_staff=True)
    assert new_client().post(link_to(SHARED) + "not-me/").status_code == 409
    assert User.objects.exists()


# --- Other writers of an address ------------------------------------------------------------------


def test_an_unconfirmed_address_gets_no_password_reset(user, emails_to):
    claim(user)
    new_client().post("/accounts/password/reset/", {"email": SHARED})
    assert "There is no account with this address" in emails_to(SHARED)[-1].body


def test_an_unconfirmed_address_cannot_be_made_primary(user):
    claim(user)
    client = sign_in(new_client(), user)
    step_up(client)
    response = client.post(EMAIL, {"action_primary": "1", "email": SHARED}, follow=True)
    assert "Confirm the address first" in response.content.decode()
    assert EmailAddress.objects.get_primary(user).email == user.email


def test_an_address_of_another_account_in_use_cannot_be_made_primary(user, sign_up):
    sign_up(is_staff=True)
    EmailAddress.objects.create(user=user, email=SHARED, verified=True)
    client = sign_in(new_client(), user)
    step_up(client)
    response = client.post(EMAIL, {"action_primary": "1", "email": SHARED}, follow=True)
    assert "belongs to another account" in response.content.decode()
    user.refresh_from_db()
    assert (user.email, EmailAddress.objects.get_primary(user).email) == ("ada@example.com",) * 2


def test_an_unconfirmed_address_gets_no_notification(user, make_user, emails_to, rf):
    claim(user)
    with context.request_context(rf.get("/")):
        get_adapter().send_notification_mail("account/email/password_changed", user, email=SHARED)
    assert emails_to(SHARED) == []


def test_create_superuser_takes_over_unconfirmed_addresses_only(user, make_user):
    claim(user)
    User.objects.create_superuser(SHARED, "correct-horse-battery")
    assert EmailAddress.objects.get(email=SHARED).user.is_superuser
    EmailAddress.objects.create(user=user, email="root@example.com", verified=True)
    with pytest.raises(ValidationError):
        User.objects.create_superuser("root@example.com", "correct-horse-battery")
    assert not User.objects.filter(email="root@example.com").exists()


# --- The complete attack --------------------------------------------------------------------------


@pytest.mark.parametrize("claimed", ["before", "after"])
def test_an_attacker_with_2fa_cannot_lock_the_owner_out(user, secret, emails_to, claimed):
    """The attacker adds the owner's address to an account with 2FA. The owner can still sign up with it."""
    if claimed == "after":
        Authenticator.objects.activate(user, secret=secret)
    attacker = new_client()
    give_password(attacker, user)
    if claimed == "after":
        attacker.post("/accounts/2fa/verify-login/", {"code": code_now(secret)})
        Authenticator.objects.update(last_time_step=-1)
    step_up(attacker, **({"code": code_now(secret)} if claimed == "after" else {}))
    attacker.post(EMAIL, {"action_add": "1", "email": SHARED})
    assert EmailAddress.objects.filter(user=user, email=SHARED, verified=False).exists()
    if claimed == "before":
        Authenticator.objects.activate(user, secret=secret)

    owner = new_client()
    owner.post(SIGNUP, NEWCOMER)
    owner.post(link_to(SHARED, User.objects.get(email=SHARED)))
    owner.post("/accounts/login/", {"login": SHARED, "password": NEWCOMER["password1"]})
    assert is_signed_in(owner)
    assert owner.session["_auth_user_id"] != str(user.pk)
    new_client().post("/accounts/password/reset/", {"email": SHARED})
    reset = emails_to(SHARED)[-1].body
    uid = re.search(r"/password/reset/key/(\w+)-", reset)[1]
    assert url_str_to_user_pk(uid) == User.objects.get(email=SHARED).pk

"""The form of a passkey: what it asks and charges, when it needs a password, and that no answer is accepted twice."""

import pytest
from django.contrib.auth.models import AnonymousUser
from django.contrib.sessions.backends.db import SessionStore
from django.db import connection
from django.test.utils import CaptureQueriesContext

from twofactor import limits
from twofactor.attempts import Attempt
from twofactor.forms import CodeForm, PasswordForm
from twofactor.methods import first_form, form_for
from twofactor.models import AuthenticatorApp, Passkey, SecondFactor
from twofactor.passkey_form import PasskeyForm
from twofactor.tests.constants import NOW, PASSWORD, SECRET
from twofactor.tests.helpers import code_now
from twofactor.tests.passkeys import add_passkey, options_of, sign
from twofactor.tests.responses import error_codes
from twofactor.tests.rows import counters, event_kinds, tries_left, update
from twofactor.tests.softkey import BE, UP, UV, SoftKey

pytestmark = pytest.mark.database

PENDING = "a" * 32
FORMS = {"sign-in": {"pending_id": PENDING}, "step-up": {"asks_password": True}, "confirm": {}}


@pytest.fixture
def attempt(request_, passkey):
    """Return a function that makes an attempt with what the database has now."""

    def attempt(**options):
        if "pending_id" in options:
            request_.user = AnonymousUser()
        return Attempt(request_, SecondFactor.objects.get(pk=passkey.second_factor_id), **options)

    return attempt


@pytest.fixture
def show(attempt):
    return lambda **options: PasskeyForm(attempt=attempt(**options))


@pytest.fixture
def bind(attempt):
    return lambda typed, **options: PasskeyForm(typed, attempt=attempt(**options))


@pytest.fixture
def statements():
    """Return the number of statements of a form that is valid, without those of transactions and of the test user."""

    def count(form):
        assert form.second_factor.user
        with CaptureQueriesContext(connection) as captured:
            assert form.is_valid()
        return sum(1 for query in captured if not query["sql"].startswith(("SAVEPOINT", "RELEASE", "BEGIN", "COMMIT")))

    return count


# --- What it asks ---------------------------------------------------------------------------------


def test_each_form_asks_with_a_challenge_of_its_own(show, key, passkey):
    asked = [options_of(show(pending_id=PENDING)) for _ in range(2)]
    challenges = [each.pop("challenge") for each in asked]
    assert challenges[0] != challenges[1]
    assert {len(challenge) for challenge in challenges} == {43}  # 32 bytes
    transports = {"transports": []}
    allowed = [{"type": "public-key", "id": key.get({"challenge": "", "rpId": ""}, origin="")["id"], **transports}]
    expected = {"allowCredentials": allowed, "rpId": "testserver", "timeout": 300_000, "userVerification": "preferred"}
    assert asked == [expected] * 2


@pytest.mark.parametrize("flags, verification", [(UV, "required"), (0, "preferred")])
def test_a_step_up_asks_to_verify_the_user_and_takes_every_passkey(show, user, passkey, flags, verification):
    """If verification was required, a security key without a PIN beside another passkey could not be used."""
    add_passkey(user, SoftKey(flags=flags))
    form = show(asks_password=True)
    asked = options_of(form)
    assert "password" not in form.fields
    assert (asked["userVerification"], len(asked["allowCredentials"])) == (verification, 2)


def test_a_step_up_asks_for_the_password_beside_passkeys_that_verify_nobody(show, passkey):
    Passkey.objects.update(is_user_verified=False)
    form = show(asks_password=True)
    assert list(form.fields) == ["password", "credential", "ceremony"]
    assert options_of(form)["userVerification"] == "preferred"


def test_a_passkey_of_another_domain_is_not_asked_for(show, user, passkey):
    add_passkey(user, SoftKey(), rp_id="example.com")
    assert len(options_of(show())["allowCredentials"]) == 1


def test_an_account_with_passkeys_of_another_domain_alone_is_offered_the_other_methods(attempt, passkey):
    Passkey.objects.update(rp_id="example.com")
    assert first_form(attempt()).key == "backup"


def test_a_form_that_is_shown_writes_nothing(show, django_assert_num_queries, request_):
    form = show(pending_id=PENDING)
    request_.session.modified = False
    with django_assert_num_queries(1):  # reads the passkeys
        assert form.options
        assert str(form)
    assert not request_.session.modified


# --- The method -----------------------------------------------------------------------------------


@pytest.mark.parametrize("has_app, keys", [(False, ["passkey", "backup"]), (True, ["passkey", "code", "backup"])])
def test_the_methods_are_those_that_the_account_has_and_a_passkey_is_the_first(attempt, user, has_app, keys):
    if has_app:
        AuthenticatorApp.objects.activate(user, secret=SECRET)
    form = first_form(attempt())
    assert [form.key, *(other.key for other in form.others)] == keys


@pytest.mark.parametrize("host, on, keys", [
    ("testserver", True, ["passkey", "backup"]), ("testserver", False, ["backup"]), ("localhost", True, ["backup"]),
])  # fmt: skip
def test_a_passkey_is_offered_where_it_works_only(rf, passkey, settings, host, on, keys):
    settings.TWOFACTOR_PASSKEYS, settings.ALLOWED_HOSTS = on, ["*"]
    request = rf.get("/", {"method": "passkey"}, headers={"Host": host})
    form = form_for(request, Attempt(request, passkey.second_factor))
    assert [form.key, *(other.key for other in form.others)] == keys


@pytest.mark.parametrize("posted, method", [
    ({"credential": "{}"}, "passkey"), ({"credential": "{}", "code": ""}, "passkey"),
    ({"credential": "", "backup_code": "x"}, "backup"), ({"code": "123456"}, "passkey"), ({}, "passkey"),
])  # fmt: skip
def test_the_posted_field_decides_the_method_among_those_of_the_account(rf, passkey, posted, method):
    request = rf.post("/?method=backup", posted)
    assert form_for(request, Attempt(request, passkey.second_factor)).key == method


# --- Accepted -------------------------------------------------------------------------------------


@pytest.mark.parametrize("form", FORMS)
def test_a_passkey_is_accepted_once(show, bind, key, form):
    typed = sign(key, show(**FORMS[form]))
    assert bind(typed, **FORMS[form]).is_valid()
    again = bind(typed, **FORMS[form])
    assert error_codes(again) == {"credential": ["wrong"]}
    assert Passkey.objects.get().last_used_at


def test_two_tabs_do_not_disturb_each_other(show, bind, key):
    tabs = [show(asks_password=True) for _ in range(2)]
    newest_first = [sign(key, tab) for tab in reversed(tabs)]
    assert all(bind(typed, asks_password=True).is_valid() for typed in newest_first)


def test_an_accepted_passkey_ends_delay_and_lock_and_is_charged_to_nobody(show, bind, key, passkey, request_):
    second_factor = SecondFactor.objects.get()
    update(second_factor, failures=9, delayed_until=4_000_000_000, budget_spent=100, budget_began=NOW)
    assert bind(sign(key, show(pending_id=PENDING)), pending_id=PENDING).is_valid()
    assert counters(second_factor) == (0, 0, 0)
    assert limits.sign_in(PENDING).hits == limits.COMPLETED
    assert tries_left(request_) == 20


def test_a_pending_sign_in_is_completed_once_and_not_after_its_end(show, bind, key):
    assert bind(sign(key, show(pending_id=PENDING)), pending_id=PENDING).is_valid()
    assert error_codes(bind(sign(key, show(pending_id=PENDING)), pending_id=PENDING)) == {"credential": ["closed"]}
    other = limits.sign_in("b" * 32)
    assert all(other.charge() for _ in range(5))
    assert other.end()
    ended = bind(sign(key, show(pending_id="b" * 32)), pending_id="b" * 32)
    assert error_codes(ended) == {"credential": ["closed"]}


def test_a_passkey_takes_fewer_statements_than_a_code(show, bind, key, attempt, statements):
    AuthenticatorApp.objects.activate(SecondFactor.objects.get().user, secret=SECRET)
    typed = sign(key, show(pending_id=PENDING))
    assert bind(sign(key, show())).is_valid()  # creates the limit of the source
    by_passkey = statements(bind(typed, pending_id=PENDING))
    by_code = statements(CodeForm({"code": code_now(SECRET)}, attempt=attempt(pending_id="b" * 32)))
    assert (by_passkey, by_code) == (7, 9)


# --- Refused --------------------------------------------------------------------------------------


def test_a_refused_passkey_is_charged_to_the_source_only(show, bind, key, request_, passkey):
    for _ in range(20):
        form = show(pending_id=PENDING)
        refused = bind(sign(key, form, origin="https://evil.example"), pending_id=PENDING)
        assert error_codes(refused) == {"credential": ["wrong"]}
        assert refused.status == 422
    assert counters(SecondFactor.objects.get()) == (0, 0, 0)
    assert limits.sign_in(PENDING).hits == 0
    assert event_kinds() == []
    over = bind(sign(key, show(pending_id=PENDING)), pending_id=PENDING)
    assert (error_codes(over), over.status) == ({"credential": ["source"]}, 429)


@pytest.mark.parametrize("change", ["user", "version", "browser", "purpose", "age"])
def test_a_challenge_is_bound(show, bind, key, passkey, bob, request_, monkeypatch, change):
    typed, options = sign(key, show()), {}
    if change == "user":
        version = SecondFactor.objects.get(pk=passkey.second_factor_id).version
        Passkey.objects.update(second_factor=bob.second_factor)
        SecondFactor.objects.update(version=version, passkey_count=1)
        passkey.second_factor_id = bob.second_factor.pk
    elif change == "version":
        SecondFactor.objects.update(version="0" * 16)
    elif change == "browser":
        request_.session = SessionStore()
        request_.session.create()
    elif change == "purpose":
        options = {"pending_id": PENDING}
    else:
        monkeypatch.setattr("twofactor.conf.CEREMONY_SECONDS", -1)
    assert error_codes(bind(typed, **options)) == {"credential": ["wrong"]}


def test_a_challenge_of_another_pending_sign_in_is_refused(show, bind, key):
    typed = sign(key, show(pending_id="b" * 32))
    assert error_codes(bind(typed, pending_id=PENDING)) == {"credential": ["wrong"]}


def test_a_device_bound_passkey_with_an_older_count_is_refused_and_the_owner_told(show, bind, user, caplog, emails_to):
    device = SoftKey(flags=UV, sign_count=5, step=1)
    add_passkey(user, device, name="YubiKey 5")
    assert bind(sign(device, show())).is_valid()
    device.sign_count = 5
    for _ in range(2):
        form = show()
        device.sign_count = 5
        assert error_codes(bind(sign(device, form))) == {"credential": ["wrong"]}
    assert "event=passkey_refused" in caplog.text
    assert "why=sign_count" in caplog.text
    assert event_kinds()[-2:] == ["passkey_copied"] * 2
    (email,) = [email for email in emails_to(user.email) if "copied" in email.subject]
    assert "“YubiKey 5”" in email.body
    device.sign_count = 9
    assert bind(sign(device, show())).is_valid()  # it is not switched off: an attacker could do that


# --- The password ---------------------------------------------------------------------------------


def test_a_passkey_that_verified_the_user_needs_no_password(show, bind, key):
    form = bind(sign(key, show(asks_password=True)), asks_password=True)
    assert form.is_valid()
    assert "password" not in form.fields


@pytest.mark.parametrize("password, errors", [
    ("", {"password": ["password"]}), ("wrong", {"password": ["wrong_password"]}), (PASSWORD, {}),
])  # fmt: skip
@pytest.mark.parametrize("flags, initially", [(UP | BE, True), (UP | UV | BE, False), (UP | BE, False)])
def test_a_touch_needs_the_password_beside_it(show, bind, key, user, passkey, flags, initially, password, errors):
    """A PIN that was set after the registration does not count: a thief can set one."""
    add_passkey(user, SoftKey())  # another passkey of the user verifies, so the password is not asked for at first
    Passkey.objects.filter(pk=passkey.pk).update(is_user_verified=initially)
    typed = sign(key, show(asks_password=True), flags=flags) | {"password": password}
    form = bind(typed, asks_password=True)
    assert error_codes(form) == errors
    if not password:
        assert next(iter(form.fields)) == "password"
        assert form.fields["password"].widget.attrs["autofocus"]
        assert len(options_of(form)["allowCredentials"]) == 2
        assert bind(typed | {"password": PASSWORD}, asks_password=True).is_valid()  # it was not used up


def test_a_user_without_a_password_needs_none(show, bind, key, user, passkey):
    Passkey.objects.update(is_user_verified=False)
    assert bind(sign(key, show(), flags=UP | BE)).is_valid()


@pytest.mark.parametrize("form, typed, flags, is_verified", [
    ("sign-in", {}, UP | UV | BE, True), ("sign-in", {}, UP | BE, False), ("confirm", {}, UP | UV | BE, False),
    ("step-up", {"password": PASSWORD}, UP | UV | BE, True),
])  # fmt: skip
def test_a_user_is_regarded_as_verified_later_only_together_with_the_password(
    show, bind, key, passkey, form, typed, flags, is_verified
):
    Passkey.objects.update(is_user_verified=False)
    assert bind(sign(key, show(**FORMS[form]), flags=flags) | typed, **FORMS[form]).is_valid()
    assert Passkey.objects.get().is_user_verified is is_verified


def test_the_password_field_of_a_form_is_not_shared(show, bind, key):
    bound = bind(sign(key, show(asks_password=True), flags=UP | BE), asks_password=True)
    assert error_codes(bound) == {"password": ["password"]}
    assert "autofocus" not in PasswordForm.base_fields["password"].widget.attrs

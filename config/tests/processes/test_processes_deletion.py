"""Race conditions of a deletion: no error page, and no row or session of the account remains.

Each race runs TEST_ROUNDS times (3 by default), on SQLite and on PostgreSQL.
"""

import pytest

from config.tests.processes import site_helpers
from config.tests.processes.running_site import ROUNDS, parallel, wait_until
from twofactor.tests.constants import DISABLE, EMAIL, PASSWORD, REAUTHENTICATE, REGENERATE, VERIFY_LOGIN, VERIFY_SETUP
from twofactor.tests.journeys import (
    SiteUser,
    backup_codes_on,
    copy_of,
    give_password,
    is_signed_in,
    post,
    redirect_target,
    start_setup,
)

DELETE = "/accounts/delete/"
OWN_ROWS = ("EmailAddress", "SecondFactor", "SecurityEvent", "UserSession")


def delete(client, **proof):
    return post(client, DELETE, {"password": PASSWORD, **proof})


def assert_deleted(site, user):
    assert site.rows("User", pk=user.pk) == []
    assert [row for model in OWN_ROWS for row in site.rows(model, user=user.pk)] == []


def run(*calls):
    """Call all in parallel, and return the responses. None is an error page."""
    pages = parallel(lambda call: call(), calls)
    assert max(page.status_code for page in pages) < 500, [page.text for page in pages]
    return pages


def prepared_sign_in(site, user):
    """Return a client before its last request of a sign-in, and that request."""
    if not user.secret:
        client = site.client()
        return client, lambda: give_password(client, user)
    client = site.pending(user)
    return client, lambda: post(client, VERIFY_LOGIN, {"backup_code": user.backup_codes[0]})


def signed_in_owner(site, user):
    """Return a signed-in client, and the proof for one deletion."""
    codes = user.backup_codes[8:] or ["", ""]
    return site.signed_in(user, backup_code=codes[0]), {"backup_code": codes[1]}


@pytest.mark.parametrize("on", [False, True], ids=["password", "backup code"])
@pytest.mark.parametrize("first", ["deletion", "sign-in", "neither"])
def test_a_sign_in_during_a_deletion_leaves_no_session_and_no_row(site, first, on):
    """A trigger makes the first one wait inside its transaction, while the other one runs."""
    for _ in range(ROUNDS):
        user = site.make_user(on=on)
        owner, proof = signed_in_owner(site, user)
        client, sign_in = prepared_sign_in(site, user)

        def after_the_other(call):
            wait_until(lambda: site.call(site_helpers.is_slow), "the other request")
            return call()

        if first == "neither":
            run(sign_in, lambda: delete(owner, **proof))
        elif first == "deletion":
            with site.slow("accounts_user", operation="DELETE", seconds=0.5):
                run(lambda: after_the_other(sign_in), lambda: delete(owner, **proof))
        else:
            with site.slow("usersessions_usersession", seconds=0.5):
                run(sign_in, lambda: after_the_other(lambda: delete(owner, **proof)))
        assert_deleted(site, user)
        assert not is_signed_in(client)
        assert not is_signed_in(owner)


def test_two_superusers_who_delete_themselves_in_parallel_leave_one(site):
    for _ in range(ROUNDS):
        users = site.make_users(2, on=False)
        clients = [site.signed_in(user) for user in users]
        site.call(site_helpers.make_only_superusers, [user.pk for user in users])
        run(*[lambda client=client: delete(client) for client in clients])
        assert len(site.rows("User", is_superuser=True)) == 1


def test_two_parallel_deletions_both_succeed_and_send_one_email(site):
    for _ in range(ROUNDS):
        user = site.make_user(on=False)
        owner = site.signed_in(user)
        pages = run(*[lambda client=client: delete(client) for client in (owner, copy_of(owner))])
        assert {redirect_target(page) for page in pages} <= {"/", "/accounts/login/?next=/accounts/delete/"}
        assert_deleted(site, user)
        assert len([text for text in site.emails_to(user) if "be restored" in text]) == 1


def test_a_change_of_the_primary_address_and_a_deletion_in_parallel_do_not_mix(site):
    for _ in range(ROUNDS):
        user = site.make_user(on=False)
        owner, other = site.signed_in(user), site.signed_in(user)
        post(other, REAUTHENTICATE, {"password": PASSWORD})
        address = f"second-{user.email}"
        site.call(site_helpers.add_address, user.pk, address, verified=True)
        run(lambda: post(other, EMAIL, {"action_primary": "", "email": address}), lambda: delete(owner))
        assert_deleted(site, user)


@pytest.mark.parametrize("change", ["turn on", "new codes", "turn off"])
def test_a_change_of_2fa_and_a_deletion_in_parallel_do_not_mix(site, change):
    for _ in range(ROUNDS):
        user = site.make_user(on=change != "turn on")
        owner, proof = signed_in_owner(site, user)
        other = site.signed_in(user, backup_code=(user.backup_codes or [""])[0])
        path, fields = REGENERATE, {"password": PASSWORD, "backup_code": (user.backup_codes or ["", ""])[1]}
        if change == "turn on":
            path, fields = VERIFY_SETUP, {"code": SiteUser(0, "", start_setup(other)).code()}
        elif change == "turn off":
            path = DISABLE
        page, _ = run(lambda: post(other, path, fields), lambda: delete(owner, **proof))
        if site.rows("User", pk=user.pk):
            assert bool(site.second_factor(user)) is (change != "turn off")
            assert bool(backup_codes_on(page)) is (change != "turn off")
            assert is_signed_in(other)
        else:
            assert_deleted(site, user)
            assert not is_signed_in(other)

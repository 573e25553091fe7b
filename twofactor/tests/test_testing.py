"""`twofactor.testing.sign_in`, for the tests of other sites."""

from twofactor.models import Authenticator
from twofactor.testing import sign_in
from twofactor.tests.helpers import LOGIN, SECRET, SETTINGS, is_signed_in, new_client, redirect_target
from twofactor.tests.hosts.pages import REPORT


def test_a_user_is_signed_in_as_after_a_code_if_2fa_is_on(user):
    browser = new_client()
    sign_in(browser, user)
    assert browser.get(SETTINGS).status_code == 200
    Authenticator.objects.activate(user, secret=SECRET)
    sign_in(browser, user)
    assert browser.get(REPORT).status_code == 200


def test_force_login_alone_is_signed_out_if_2fa_is_on(user, authenticator):
    browser = new_client()
    browser.force_login(user)
    assert redirect_target(browser.get(SETTINGS)).startswith(LOGIN)
    assert not is_signed_in(browser)

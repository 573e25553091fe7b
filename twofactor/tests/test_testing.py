"""`twofactor.testing.sign_in`, for the tests of other sites."""

from twofactor.models import AuthenticatorApp
from twofactor.testing import sign_in
from twofactor.tests.constants import SECRET, SETTINGS
from twofactor.tests.helpers import new_client
from twofactor.tests.hosts.pages import REPORT


def test_a_user_is_signed_in_as_after_a_code_if_2fa_is_on(user):
    sign_in(browser := new_client(), user)
    assert browser.get(SETTINGS).status_code == 200
    AuthenticatorApp.objects.activate(user, secret=SECRET)
    sign_in(browser, user)
    assert browser.get(REPORT).status_code == 200

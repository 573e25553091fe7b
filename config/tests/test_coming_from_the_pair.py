"""docs/coming-from-the-pair.md: its paths exist, and its Python examples run."""

import re
import time
from pathlib import Path

from django.conf import settings
from django.urls import resolve

from twofactor.models import SecondFactor
from twofactor.tests.constants import PASSWORD
from twofactor.tests.rfc6238 import code_at

PAGE = (Path(settings.BASE_DIR) / "docs" / "coming-from-the-pair.md").read_text()
EXAMPLES = re.findall(r"^```python\n(.*?)^```$", PAGE, flags=re.MULTILINE | re.DOTALL)
ADDRESS = re.compile(r"^\| `(?:POST|GET) /backend/user/(\S+)/`.*?\| `(/accounts/\S+)` \| `([\w:]+)`", re.MULTILINE)
ENDPOINTS = ["setup", "verify-setup", "disable", "verify-login", "resend-backup-codes", "status"]


def test_the_page_lists_every_endpoint_of_the_pair_and_its_new_url():
    endpoints, urls, names = zip(*ADDRESS.findall(PAGE), strict=True)
    assert [*endpoints] == ["login", *(f"2fa/{name}" for name in ENDPOINTS)]
    assert [resolve(url).view_name for url in urls] == [*names]


def test_the_examples_turn_2fa_on_check_each_code_once_and_turn_it_off(user):
    examples = {}
    for example in EXAMPLES:
        exec(example, examples)  # noqa: S102 - a page of this repository
    assert examples["has_passed"](user, "000000"), "2FA is off"
    uri, backup_codes = examples["enable_2fa"](user)
    secret = SecondFactor.objects.for_user(user).app.secret
    assert f"secret={secret}" in uri
    code = code_at(secret, time.time())
    assert [examples["has_passed"](user, each) for each in (code, code)] == [True, False]
    assert [examples["has_passed"](user, backup_codes[0]) for _ in range(2)] == [True, False]
    code = code_at(secret, time.time() + 30)
    assert not examples["disable_2fa"](user, "wrong", code)
    assert examples["disable_2fa"](user, PASSWORD, code)
    assert SecondFactor.objects.for_user(user) is None

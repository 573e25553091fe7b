"""What a User-Agent header says about the device."""

import pytest

from twofactor.templatetags.useragent import device_icon


@pytest.mark.parametrize("system, icon", [
    ("iPhone; CPU iPhone OS 18_0 like Mac OS X", "phone"), ("Linux; Android 15; Pixel 9", "phone"),
    ("Macintosh; Intel Mac OS X 10_15_7", "computer"), ("X11; Linux x86_64", "computer"), ("", "computer"),
])  # fmt: skip
def test_a_browser_on_a_phone_or_tablet_has_its_own_icon(system, icon):
    assert device_icon(f"Mozilla/5.0 ({system}) AppleWebKit/605.1.15") == f"twofactor/icons/{icon}.html"

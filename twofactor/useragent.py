"""Describe a User-Agent header in words: "Firefox on Linux"."""

from django.utils.translation import gettext as _

# The first match wins: Edge and Opera also contain "Chrome", and Chrome contains "Safari".
BROWSERS = {
    "Edg": "Edge",
    "OPR/": "Opera",
    "SamsungBrowser": "Samsung Internet",
    "Firefox": "Firefox",
    "FxiOS": "Firefox",
    "CriOS": "Chrome",
    "Chromium": "Chromium",
    "Chrome": "Chrome",
    "Safari": "Safari",
    "curl": "curl",
}
SYSTEMS = {
    "iPhone": "iPhone",
    "iPad": "iPad",
    "Android": "Android",
    "Windows": "Windows",
    "CrOS": "ChromeOS",
    "Macintosh": "macOS",
    "Linux": "Linux",
}

HANDHELD = ("iPhone", "iPad", "Android")


def is_handheld(header: str) -> bool:
    """Return whether the browser runs on a phone or a tablet."""
    return any(mark in header for mark in HANDHELD)


def describe(header: str) -> str:
    """Return the browser and the system, "" if neither is known."""
    browser = next((name for mark, name in BROWSERS.items() if mark in header), "")
    system = next((name for mark, name in SYSTEMS.items() if mark in header), "")
    if not (browser and system):
        return browser or system
    return _("%(browser)s on %(system)s") % {"browser": browser, "system": system}

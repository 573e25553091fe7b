"""A User-Agent header in two words, for the owner of an account: "Firefox on Linux"."""

from django.utils.translation import gettext as _

# The first that is found counts: Edge and Opera call themselves Chrome too, and Chrome calls itself Safari.
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


def describe(header: str) -> str:
    """Return what the header says of browser and system; an empty string if it says nothing known."""
    browser = next((name for mark, name in BROWSERS.items() if mark in header), "")
    system = next((name for mark, name in SYSTEMS.items() if mark in header), "")
    if not (browser and system):
        return browser or system
    return _("%(browser)s on %(system)s") % {"browser": browser, "system": system}

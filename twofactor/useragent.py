"""A User-Agent header in two words, for the owner of an account: "Firefox on Linux". Pure."""

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
    return f"{browser} on {system}" if browser and system else browser or system

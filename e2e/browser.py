"""The browser of the end-to-end tests: the first that starts. `python -m e2e.browser` names it."""

import os
import shutil
import sys
from collections.abc import Iterator
from typing import Any

from playwright.sync_api import Error, Playwright, sync_playwright

OWN = "Playwright's own"
# The headless shell starts faster than a whole browser and behaves the same here.
SYSTEM_BROWSERS = (
    "chromium-headless-shell",
    "chromium",
    "chromium-browser",
    "google-chrome-stable",
    "google-chrome",
)
# Quiet: where there is no network, each call home is a connection that waits to be refused.
FLAGS = (
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)


def launch_options(playwright: Playwright) -> dict[str, Any]:
    """Return what Playwright is to launch; LookupError, saying what was tried, if nothing starts."""
    tried = []
    # Chromium's sandbox refuses to run as root, which is what containers make of us.
    flags = [*FLAGS, "--no-sandbox"] if hasattr(os, "geteuid") and os.geteuid() == 0 else [*FLAGS]
    for path in candidates():
        options: dict[str, Any] = {"args": flags} | ({"executable_path": path} if path else {})
        try:
            playwright.chromium.launch(**options).close()
        except Error as error:
            tried.append(f"  {path or OWN}: {error.message.splitlines()[0]}")
        else:
            return options
    raise LookupError("\n".join(["No browser starts for the end-to-end tests:", *tried]))


def candidates() -> Iterator[str | None]:
    """Yield paths in the order of preference; None is the build that Playwright downloads."""
    if named := os.environ.get("E2E_BROWSER"):
        yield named
        return
    yield None
    yield from filter(None, map(shutil.which, SYSTEM_BROWSERS))


if __name__ == "__main__":
    with sync_playwright() as playwright:
        try:
            print(launch_options(playwright).get("executable_path", OWN))
        except LookupError as nothing_starts:
            sys.exit(str(nothing_starts))

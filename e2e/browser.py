"""Find a browser for the end-to-end tests: the first that starts. `python -m e2e.browser` prints it."""

import os
import shutil
import sys

from playwright.sync_api import Error, sync_playwright

OWN = "Playwright's own"
# The headless shell comes first: it starts faster than a full browser and behaves the same in these tests.
SYSTEM = ("chromium-headless-shell", "chromium", "chromium-browser", "google-chrome-stable", "google-chrome")
# No requests of the browser's own: without a network each of them waits until it times out.
FLAGS = ["--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync"]
FLAGS += ["--disable-background-networking", "--disable-component-update"]


def launch_options(playwright):
    """Return Playwright's launch options. Raise LookupError with all attempts if no browser starts."""
    tried = []
    # Chromium's sandbox does not run as root, the usual user in a container.
    flags = [*FLAGS, "--no-sandbox"] if hasattr(os, "geteuid") and os.geteuid() == 0 else FLAGS
    for path in candidates():
        options = {"args": flags} | ({"executable_path": path} if path else {})
        try:
            playwright.chromium.launch(**options).close()
        except Error as error:
            tried.append(f"  {path or OWN}: {error.message.splitlines()[0]}")
        else:
            return options
    raise LookupError("\n".join(["No browser starts for the end-to-end tests:", *tried]))


def candidates():
    """Yield paths of browsers, the preferred first. None is the build that Playwright downloads."""
    if named := os.environ.get("E2E_BROWSER"):
        yield named
        return
    yield None
    yield from filter(None, map(shutil.which, SYSTEM))


if __name__ == "__main__":
    with sync_playwright() as playwright:
        try:
            print(launch_options(playwright).get("executable_path", OWN))
        except LookupError as error:
            sys.exit(str(error))

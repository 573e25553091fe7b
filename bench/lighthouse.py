"""Part `lighthouse`: what Google's Lighthouse says of sign-in, code and settings, served as `dev.py serve` does."""

import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

from playwright.sync_api import sync_playwright

from bench.journeys import LOGIN, SETTINGS
from bench.sites import ROOT, Site, Stand
from bench.table import Table
from bench.visitor import Visitor
from e2e.browser import launch_options

# The last version for Node 20, which Debian's releases of these years have at most.
VERSION = "12.8.2"
CACHE = ROOT / ".bench"
PROGRAM = CACHE / "node_modules" / "lighthouse" / "cli" / "index.js"
CATEGORIES = {"performance": "performance", "accessibility": "accessibility", "best-practices": "best practices"}


def lighthouse(stand: Stand) -> Iterator[Table]:
    """Judge the three pages, on a phone and on a desktop; then name the audits below full marks."""
    try:
        install()
        browser, flags = find_browser()
    except LookupError as missing:
        yield Table(f"Skipped Lighthouse: {missing}", ())
        return
    table = Table("Lighthouse " + VERSION, ("page", "as on", *CATEGORIES.values()))
    lost = Table("Audits below full marks", ("page", "as on", "audit", "score", "says"))
    with ExitStack() as ends:
        (site,) = ends.enter_context(stand.sites())
        ends.enter_context(site.served())
        for page, path, cookies in pages(site):
            for device in ("phone", "desktop"):
                report = judged(f"http://127.0.0.1:{site.port}{path}", cookies, device, browser, flags)
                scores = [f"{report['categories'][key]['score'] * 100:.0f}" for key in CATEGORIES]
                table.add(page, device, *scores)
                for audit in short_of_full(report):
                    lost.add(
                        page, device, audit["id"], f"{audit['score']:.2f}", audit.get("displayValue", audit["title"])
                    )
    yield table
    if lost.lines:
        yield lost


def install() -> None:
    """See to it that Lighthouse is there; LookupError, saying why, if it is not."""
    if not shutil.which("npm"):
        raise LookupError("npm is not installed")
    manifest = PROGRAM.parents[1] / "package.json"
    if manifest.exists() and json.loads(manifest.read_text())["version"] == VERSION:
        return
    quiet = ["--no-save", "--no-audit", "--no-fund", "--loglevel=error"]
    command = ["npm", "install", "--prefix", str(CACHE), *quiet, f"lighthouse@{VERSION}"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise LookupError(f"npm: {done.stderr.strip()[-300:]}")


def find_browser() -> tuple[str, list[str]]:
    """The one of the end-to-end tests, and the flags it wants; LookupError if none starts."""
    with sync_playwright() as playwright:
        options = launch_options(playwright)
        return options.get("executable_path") or playwright.chromium.executable_path, options["args"]


def pages(site: Site) -> Iterator[tuple[str, str, dict[str, str]]]:
    """Name, path and cookies of each page; the second is that of somebody who has just given the password."""
    (person,) = site.people(on=1)
    yield "sign-in", LOGIN, {}
    visitor = Visitor(site.port)
    site.dialect.give_password(visitor, person)
    yield "code", f"{SETTINGS}verify-login/", visitor.cookies
    yield "settings", SETTINGS, {"sessionid": person.session}


def judged(url: str, cookies: dict[str, str], device: str, browser: str, flags: list[str]) -> dict[str, Any]:
    headers = {"Cookie": "; ".join(f"{name}={value}" for name, value in cookies.items())} if cookies else {}
    command = [
        "node", str(PROGRAM), url, "--quiet", "--output=json", f"--only-categories={','.join(CATEGORIES)}",
        f"--chrome-flags={' '.join(['--headless', *flags])}", f"--extra-headers={json.dumps(headers)}",
        *(["--preset=desktop"] if device == "desktop" else []),
    ]  # fmt: skip
    env = os.environ | {"CHROME_PATH": browser}
    done = subprocess.run(command, cwd=CACHE, env=env, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(done.stderr[-2000:])
    report: dict[str, Any] = json.loads(done.stdout)
    if problem := report.get("runtimeError"):
        raise RuntimeError(problem["message"])
    if report["finalDisplayedUrl"] != url:
        raise RuntimeError(f"{url} led to {report['finalDisplayedUrl']}")
    return report


def short_of_full(report: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """The audits that weigh and are not all they could be."""
    for key in CATEGORIES:
        for reference in report["categories"][key]["auditRefs"]:
            audit = report["audits"][reference["id"]]
            if reference["weight"] and audit["score"] is not None and audit["score"] < 1:
                yield audit

"""Part `lighthouse`: Lighthouse scores of the pages that matter most, served as `dev.py serve` does."""

import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack
from statistics import median
from typing import Any

from playwright.sync_api import sync_playwright

from bench.journeys import ADD_PASSKEY
from bench.sites import ROOT, Configuration, Site
from bench.table import Table
from bench.visitor import Visitor
from e2e.browser import launch_options
from twofactor.tests.constants import LOGIN, PASSWORD, SETTINGS, SETUP, VERIFY_LOGIN

# The last version for Node 20, the newest in Debian 12 and 13.
VERSION = "12.8.2"
CACHE = ROOT / ".bench"
PROGRAM = CACHE / "node_modules" / "lighthouse" / "cli" / "index.js"
CATEGORIES = {
    "performance": "performance",
    "accessibility": "accessibility",
    "best-practices": "best practices",
    "seo": "SEO",
}


def lighthouse(configuration: Configuration, *, runs: int) -> Iterator[Table]:
    """Audit each page as a phone and as a desktop. Yield the median scores, then the audits below the full score."""
    try:
        install()
        browser, flags = find_browser()
    except LookupError as missing:
        yield Table(f"Skipped Lighthouse: {missing}", ())
        return
    table = Table("Lighthouse " + VERSION, ("page", "device", *CATEGORIES.values()))
    failed = Table("Audits below the full score", ("page", "device", "audit", "score", "details"))
    with ExitStack() as stack:
        (site,) = stack.enter_context(configuration.sites())
        stack.enter_context(site.served())
        for page, path, cookies in pages(site):
            for device in ("phone", "desktop"):
                url = f"http://localhost:{site.port}{path}"
                reports = [audit_page(url, cookies, device, browser, flags) for _ in range(runs)]
                table.add(page, device, *(f"{median_score(reports, key):.0f}" for key in CATEGORIES))
                # The run with the median of the performance, the only category that varies.
                reports.sort(key=lambda report: report["categories"]["performance"]["score"])
                for audit in failed_audits(reports[runs // 2]):
                    failed.add(
                        page, device, audit["id"], f"{audit['score']:.2f}", audit.get("displayValue", audit["title"])
                    )
    yield table
    if failed.lines:
        yield failed


def median_score(reports: list[dict[str, Any]], key: str) -> float:
    return median(report["categories"][key]["score"] * 100 for report in reports)


def install() -> None:
    """Install Lighthouse. Raise LookupError with the reason if that fails."""
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
    """Return the browser of the end-to-end tests and its flags. Raise LookupError if none starts."""
    with sync_playwright() as playwright:
        options = launch_options(playwright)
        return options.get("executable_path") or playwright.chromium.executable_path, options["args"]


def pages(site: Site) -> Iterator[tuple[str, str, dict[str, str]]]:
    """Yield the name, path and cookies of each page. The pages of a code and a passkey belong to a pending sign-in."""
    (user,), (newcomer,), (owner,) = (site.create_users({account: 1}) for account in ("on", "off", "passkey"))
    yield "landing", "/", {}
    yield "sign-in", LOGIN, {}
    yield "sign-up", "/accounts/signup/", {}
    for page, signing_in in (("code", user), ("passkey", owner)):
        visitor = Visitor(site.port)
        site.client.enter_password(visitor, signing_in)
        yield page, VERIFY_LOGIN, dict(visitor.client.cookies)
    for page, path in (("setup, scan", SETUP), ("add a passkey", ADD_PASSKEY)):
        visitor = Visitor(site.port, session=newcomer.session)
        visitor.get(path)
        visitor.post(path, {"password": PASSWORD})
        yield page, path, dict(visitor.client.cookies)
    yield "security", SETTINGS, {"sessionid": owner.session}


def audit_page(url: str, cookies: dict[str, str], device: str, browser: str, flags: list[str]) -> dict[str, Any]:
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
        raise RuntimeError(f"{url} redirects to {report['finalDisplayedUrl']}")
    return report


def failed_audits(report: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield the audits that count and have less than the full score."""
    for key in CATEGORIES:
        for reference in report["categories"][key]["auditRefs"]:
            audit = report["audits"][reference["id"]]
            if reference["weight"] and audit["score"] is not None and audit["score"] < 1:
                yield audit

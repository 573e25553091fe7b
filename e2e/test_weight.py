"""Limits for transferred bytes and layout shifts.

Sizes are measured after gzip, for pages too. The site compresses only its static files: docs/decisions.md says why.
"""

import gzip
from typing import Any
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Page, Response

from accounts.models import User
from e2e.steps import NEW_CODES, SETUP, main_journey

VERIFY_SETUP = "/accounts/2fa/verify-setup/"
PHONE: Any = {
    "viewport": {"width": 390, "height": 844},
    "is_mobile": True,
    "has_touch": True,
    "device_scale_factor": 2,
}
KILOBYTE = 1024
# As in Cumulative Layout Shift, a shift within 500 ms of user input does not count.
RECORD_SHIFTS = """new PerformanceObserver((list) => {
  for (const shift of list.getEntries()) {
    const moved = shift.sources.map(({node}) => node?.className || node?.nodeName);
    if (!shift.hadRecentInput) window.recordShift(`${location.pathname} by ${shift.value}: ${moved}`);
  }
}).observe({type: "layout-shift", buffered: true});"""
RECORD_SWAPS = """document.addEventListener("htmx:beforeSwap", ({detail}) => {
  const {verb, path} = detail.requestConfig;
  if (detail.shouldSwap) window.recordSwap(`${verb} ${path}`, detail.serverResponse);
});"""


def gzipped_size(sent: bytes) -> int:
    return len(gzip.compress(sent))


def test_the_first_page_has_at_most_45_kilobytes_all_from_this_site(page: Page, base_url: str) -> None:
    answers: list[Response] = []

    def keep(answer: Response) -> None:
        answers.append(answer)

    page.on("response", keep)
    page.goto("/")
    page.wait_for_load_state("load")
    assert all(answer.url.startswith(base_url) for answer in answers)
    sizes = {urlsplit(answer.url).path: gzipped_size(answer.body()) for answer in answers}
    assert {path.rsplit(".", 1)[-1] for path in sizes} >= {"/", "css", "js"}
    assert sum(sizes.values()) <= 45 * KILOBYTE, sizes


@pytest.mark.browser_context_args(**PHONE, reduced_motion="no-preference")
def test_the_main_journey_has_no_layout_shift_and_no_swap_over_3_kilobytes(page: Page, user: User) -> None:
    shifts: list[str] = []
    swaps: dict[str, int] = {}

    def record_shift(shift: str) -> None:
        shifts.append(shift)

    def record_swap(name: str, html: str) -> None:
        swaps[name] = max(gzipped_size(html.encode()), swaps.get(name, 0))

    page.expose_function("recordShift", record_shift)
    page.expose_function("recordSwap", record_swap)
    page.add_init_script(RECORD_SHIFTS + RECORD_SWAPS)
    main_journey(page, user)
    assert set(swaps) >= {f"post {path}" for path in ("/accounts/login/", SETUP, VERIFY_SETUP, NEW_CODES)}, swaps
    assert {name: size for name, size in swaps.items() if size > 3 * KILOBYTE} == {}
    assert shifts == []

"""What goes over the wire, and what moves on the screen: little of the one, nothing of the other.

Sizes are those after gzip, for pages as well, though the site compresses only its files: docs/decisions.md says why.
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
# As browsers count it: what moves within half a second of a key or a click was asked for.
KEEP_SHIFTS = """new PerformanceObserver((list) => {
  for (const shift of list.getEntries()) {
    const moved = shift.sources.map(({node}) => node?.className || node?.nodeName);
    if (!shift.hadRecentInput) window.keepShift(`${location.pathname} by ${shift.value}: ${moved}`);
  }
}).observe({type: "layout-shift", buffered: true});"""
KEEP_SWAPS = """document.addEventListener("htmx:beforeSwap", ({detail}) => {
  const {verb, path} = detail.requestConfig;
  if (detail.shouldSwap) window.keepSwap(`${verb} ${path}`, detail.serverResponse);
});"""


def weight(sent: bytes) -> int:
    return len(gzip.compress(sent))


def test_the_first_page_weighs_at_most_45_kilobytes_and_all_of_it_is_the_sites_own(page: Page, base_url: str) -> None:
    answers: list[Response] = []

    def keep(answer: Response) -> None:
        answers.append(answer)

    page.on("response", keep)
    page.goto("/")
    page.wait_for_load_state("load")
    assert all(answer.url.startswith(base_url) for answer in answers)
    sizes = {urlsplit(answer.url).path: weight(answer.body()) for answer in answers}
    assert {path.rsplit(".", 1)[-1] for path in sizes} >= {"/", "css", "js"}
    assert sum(sizes.values()) <= 45 * KILOBYTE, sizes


@pytest.mark.browser_context_args(**PHONE, reduced_motion="no-preference")
def test_on_the_main_journey_on_a_phone_nothing_shifts_and_no_swap_weighs_over_3_kilobytes(
    page: Page, user: User
) -> None:
    shifts: list[str] = []
    swaps: dict[str, int] = {}

    def keep_shift(shift: str) -> None:
        shifts.append(shift)

    def keep_swap(name: str, html: str) -> None:
        swaps[name] = max(weight(html.encode()), swaps.get(name, 0))

    page.expose_function("keepShift", keep_shift)
    page.expose_function("keepSwap", keep_swap)
    page.add_init_script(KEEP_SHIFTS + KEEP_SWAPS)
    main_journey(page, user)
    assert set(swaps) >= {f"post {path}" for path in ("/accounts/login/", SETUP, VERIFY_SETUP, NEW_CODES)}, swaps
    assert {name: size for name, size in swaps.items() if size > 3 * KILOBYTE} == {}
    assert shifts == []

"""A provisioning URI as a QR code that lies in the page itself: no request, no image, no style attribute."""

from collections.abc import Iterator
from itertools import groupby

import qrcode
from django.utils.safestring import SafeString, mark_safe
from qrcode.constants import ERROR_CORRECT_L

QUIET_ZONE = 4  # modules of white around it, without which no phone finds the code on a dark page
MASK = 2  # any mask can be read; searching for the prettiest is three quarters of the library's time


def svg(uri: str) -> SafeString:
    """Return an `<svg class="qr">`, under 6 KB for what a site may sensibly put in: runs of dark modules as strokes."""
    code = qrcode.QRCode(error_correction=ERROR_CORRECT_L, border=QUIET_ZONE, mask_pattern=MASK)
    code.add_data(uri)
    code.make()
    matrix = code.get_matrix()
    size, path = len(matrix), "".join(_rows(matrix))
    # Only numbers of our own go in: nothing of what a person typed can reach this markup.
    return mark_safe(  # noqa: S308
        f'<svg class="qr" xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {size} {size}" aria-hidden="true"'
        f' shape-rendering="crispEdges"><path fill="#fff" d="M0 0h{size}v{size}H0z"/>'
        f'<path stroke="#000" d="{path}"/></svg>'
    )


def _rows(matrix: list[list[bool]]) -> Iterator[str]:
    """Each row as one line, drawn where modules are dark: h7m1 0h2 draws seven, skips one, draws two."""
    for y, row in enumerate(matrix):
        x, pen = 0, None
        for is_dark, run in groupby(row):
            width = len(list(run))
            if is_dark:
                yield f"M{x} {y}.5h{width}" if pen is None else f"m{x - pen} 0h{width}"
                pen = x + width
            x += width

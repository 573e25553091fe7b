"""The QR code: size, markup, and that an independent library can read it."""

import re

import pytest

from twofactor import qr, totp

zxingcpp = pytest.importorskip("zxingcpp")
Image = pytest.importorskip("PIL.Image")
ImageDraw = pytest.importorskip("PIL.ImageDraw")

STROKE = r"([Mm])(\d+) (\d+(?:\.5)?)h(\d+)"


def uri(account: str, issuer: str = "Twofactor") -> str:
    return totp.provisioning_uri(totp.new_secret(), account=account, issuer=issuer)


def modules(svg: str) -> list[list[bool]]:
    """Return the dark modules: each `M` or `m` moves the pen, absolutely or relatively, and each `h` draws."""
    size = int(re.search(r'viewBox="0 0 (\d+) \1"', svg)[1])
    white, dark = re.findall(r'<path [^>]*\bd="([^"]+)"', svg)
    assert white == f"M0 0h{size}v{size}H0z"
    assert re.fullmatch(rf"({STROKE})+", dark)
    grid = [[False] * size for _ in range(size)]
    x, y = 0, 0.0
    for move, at_x, at_y, width in re.findall(STROKE, dark):
        x, y = (x + int(at_x), y + float(at_y)) if move == "m" else (int(at_x), float(at_y))
        grid[int(y)][x : x + int(width)] = [True] * int(width)
        x += int(width)
    return grid


def picture(svg: str, *, scale: int = 4) -> Image.Image:
    grid = modules(svg)
    image = Image.new("L", (len(grid) * scale, len(grid) * scale), 255)
    draw = ImageDraw.Draw(image)
    for y, row in enumerate(grid):
        for x, dark in enumerate(row):
            if dark:
                draw.rectangle((x * scale, y * scale, (x + 1) * scale - 1, (y + 1) * scale - 1), fill=0)
    return image


@pytest.mark.parametrize("account, issuer, kilobytes", [
    ("a@b.co", "Twofactor", 3), ("x" * 242 + "@example.com", "A Well-Meaning Organisation", 6),
    ("\N{GRINNING FACE}" * 300, "\N{GRINNING FACE}" * 300, 32),  # the longest URI
])  # fmt: skip
def test_the_code_of_any_names_is_small_contains_the_uri_and_is_readable_on_a_dark_page(account, issuer, kilobytes):
    text = uri(account, issuer)
    svg = qr.svg(text)
    assert len(svg) < kilobytes * 1024
    code = picture(svg)
    page = Image.new("L", (code.width + 200, code.height + 200), 0)
    page.paste(code, (100, 100))
    found = zxingcpp.read_barcode(page, formats=zxingcpp.BarcodeFormat.QRCode)
    assert found is not None
    assert found.text == text


def test_the_quiet_zone_is_white_and_four_modules_on_every_side():
    svg = qr.svg(uri("ada@example.com"))
    assert re.search('<path [^>]*fill="#fff"', svg)
    grid = modules(svg)
    dark = {place for y, row in enumerate(grid) for x, is_dark in enumerate(row) if is_dark for place in (x, y)}
    assert (min(dark), max(dark)) == (4, len(grid) - 5)


def test_the_markup_complies_with_a_strict_policy_and_has_no_user_input():
    svg = qr.svg("otpauth://totp/<script>alert(1)</script>\"'&")
    assert set(re.findall(r"</?(\w+)", svg)) == {"svg", "path"}
    assert not re.search(r"style|alert|href|data:|\bon\w+=", svg)

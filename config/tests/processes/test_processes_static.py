"""Static files of a running server: named by content hash, compressed, and cached for a year."""

import gzip
import re

import brotli
import pytest

from config.tests.processes.running_site import manage, serving
from twofactor.tests.constants import LOGIN

HASHED = re.compile(r"/static/[\w/.-]+\.[0-9a-f]{12}\.(?:css|js|svg|png)")
DECOMPRESS = {"gzip": gzip.decompress, "br": brotli.decompress}


@pytest.fixture(scope="module")
def site():
    """A site with the manifest and the compression of production, in a folder of its own."""
    with serving(start=False) as site:
        site.env["TEST_STATIC_ROOT"] = str(site.folder / "static")
        # Most files are not used by these pages; without them collectstatic is faster.
        manage(site.env, "collectstatic", "--no-input", "--verbosity=0", "--ignore=admin", "--ignore=htm*-4*")
        site.start()
        yield site


def test_pages_link_static_files_by_hash_which_are_compressed_and_cached_for_a_year(site):
    page = site.client().get(LOGIN).text
    paths = set(HASHED.findall(page))
    assert {path.rsplit(".", 1)[1] for path in paths} == {"css", "js", "svg", "png"}
    assert set(re.findall(r'(?:src|href|content)="(?:https?://[^/"]+)?(/static/[^"]*)"', page)) == paths
    for path in paths:
        plain = site.client().get(path, headers={"Accept-Encoding": "identity"})
        assert (plain.status_code, plain.headers.get("Content-Encoding")) == (200, None)
        assert "Set-Cookie" not in plain.headers
        assert plain.headers["X-Content-Type-Options"] == "nosniff"
        assert ("Content-Security-Policy" in plain.headers) is path.endswith(".svg")
        assert {"public", "immutable", "max-age=315360000"} == set(plain.headers["Cache-Control"].split(", "))
        for encoding, decompress in DECOMPRESS.items() if not path.endswith(".png") else ():
            with site.client().stream("GET", path, headers={"Accept-Encoding": encoding}) as answer:
                body = b"".join(answer.iter_raw())
            assert answer.headers["Content-Encoding"] == encoding, path
            assert "Accept-Encoding" in answer.headers["Vary"]
            assert len(body) < len(plain.content)
            assert decompress(body) == plain.content
    assert "immutable" not in site.client().get("/static/css/site.css").headers["Cache-Control"]


def test_a_first_visit_loads_at_most_45_kilobytes(site):
    """The page, its styles and scripts, the icon, and the picture of the landing page."""
    page = site.client().get("/").content
    paths = set(re.findall(r'(?:src|href)="(/static/(?!img/touch-icon)[^"]+)"', page.decode()))
    assert len(paths) == 6
    loaded = len(page)
    for path in paths:
        with site.client().stream("GET", path, headers={"Accept-Encoding": "br"}) as answer:
            loaded += len(b"".join(answer.iter_raw()))
    assert loaded <= 45_000

"""Static files of a running server: named by content hash, compressed, and cached for a year."""

import gzip
import http.client
import re
from collections.abc import Iterator

import brotli
import pytest

from config.tests.processes.running_site import LOGIN, Browser, Site, manage, serving

# Manifest and compression as in production, in a folder of the test.
COLLECTED = """
from config.settings import *
STATIC_ROOT = {folder!r}
"""
HASHED = re.compile(r"/static/[\w/.-]+\.[0-9a-f]{12}\.(?:css|js|svg)")
DECOMPRESS = {"gzip": gzip.decompress, "br": brotli.decompress}


@pytest.fixture(scope="module")
def site() -> Iterator[Site]:
    with serving(start=False) as site:
        folder = site.folder / "static"
        (site.folder / "served_settings.py").write_text(COLLECTED.format(folder=str(folder)))
        # Most files are not used by these pages; without them collectstatic is faster.
        unused = ["--ignore=admin", "--ignore=htm*-4*"]
        manage(site.env, "collectstatic", "--no-input", "--verbosity=0", *unused)
        site.start()
        yield site


@pytest.fixture(scope="module")
def paths(site: Site) -> set[str]:
    """The static files of the sign-in page."""
    return set(HASHED.findall(Browser(site).get(LOGIN).text))


def test_pages_link_static_files_by_content_hash(site: Site, paths: set[str]) -> None:
    page = Browser(site).get(LOGIN)
    assert {path.rsplit(".", 1)[1] for path in paths} == {"css", "js", "svg"}
    assert set(re.findall(r'(?:src|href)="(/static/[^"]*)"', page.text)) == paths


def test_hashed_files_are_cached_for_a_year_as_immutable(site: Site, paths: set[str]) -> None:
    for path in paths:
        answer = Browser(site).get(path)
        assert answer.status == 200, path
        assert "Set-Cookie" not in answer.headers
        kept = {part.strip() for part in answer.headers["Cache-Control"].split(",")}
        assert "immutable" in kept, path
        assert "public" in kept, path
        (age,) = (int(part.removeprefix("max-age=")) for part in kept if part.startswith("max-age="))
        assert age >= 365 * 24 * 60 * 60, path


def fetch(site: Site, path: str, encoding: str) -> tuple[http.client.HTTPMessage, bytes]:
    """Return the headers and the compressed body of a response."""
    connection = http.client.HTTPConnection("127.0.0.1", site.port, timeout=20)
    connection.request("GET", path, headers={"Accept-Encoding": encoding})
    response = connection.getresponse()
    body = response.read()
    connection.close()
    return response.headers, body


@pytest.mark.parametrize("encoding", DECOMPRESS)
def test_files_are_compressed_as_the_client_accepts(site: Site, paths: set[str], encoding: str) -> None:
    for path in paths:
        (plain, whole) = fetch(site, path, "identity")
        (compressed, small) = fetch(site, path, encoding)
        assert (plain["Content-Encoding"], compressed["Content-Encoding"]) == (None, encoding), path
        assert "Accept-Encoding" in compressed["Vary"]
        assert len(small) < len(whole), path
        assert DECOMPRESS[encoding](small) == whole, path


def test_a_file_without_hash_is_not_immutable(site: Site) -> None:
    answer = Browser(site).get("/static/css/site.css")
    assert answer.status == 200
    assert "immutable" not in answer.headers["Cache-Control"]

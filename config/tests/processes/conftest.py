"""Running sites that all modules share. Create your own users."""

import os

import pytest

from config.tests.processes.databases import new_database
from config.tests.processes.running_site import serving
from twofactor.tests.postgresql import why_unavailable


@pytest.fixture(scope="session")
def sqlite_site():
    with serving(processes=4) as site:
        yield site


@pytest.fixture(scope="session")
def postgresql_url():
    """The URL of a database for these tests. Skip the test without a server."""
    if reason := why_unavailable():
        pytest.skip(reason)
    with new_database(f"twofactor_test_{os.getpid()}") as url:
        yield url


@pytest.fixture(scope="session")
def postgresql_site(postgresql_url):
    # PostgreSQL looks every 100 ms whether a killed server is gone, and then rolls its transaction back.
    url = f"{postgresql_url}?options=-c client_connection_check_interval=100"
    with serving(processes=4, DATABASE_URL=url) as site:
        yield site


@pytest.fixture(params=["sqlite", "postgresql"])
def site(request):
    """A site on SQLite, and one on PostgreSQL. It is started again after a test that kills it."""
    site = request.getfixturevalue(f"{request.param}_site")
    yield site
    if site.server is None:
        site.start()

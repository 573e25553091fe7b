"""Running sites that all modules share. Create your own users."""

import pytest

from config.tests.processes.running_site import serving

DATABASES = ["sqlite", pytest.param("postgresql", marks=pytest.mark.services)]


@pytest.fixture(scope="session")
def sqlite_site():
    with serving() as site:
        yield site


@pytest.fixture(scope="session")
def postgresql_site(services):
    # PostgreSQL looks every 100 ms whether a killed server is gone, and then rolls its transaction back.
    url = f"{services['DATABASE_URL']}?options=-c client_connection_check_interval=100"
    with serving(**services | {"DATABASE_URL": url}) as site:
        yield site


@pytest.fixture(params=DATABASES)
def site(request):
    """A site on SQLite, and one on PostgreSQL. It is started again after a test that kills it."""
    site = request.getfixturevalue(f"{request.param}_site")
    yield site
    if site.server is None:
        site.start()

"""Running sites that all modules share. Create your own users."""

from collections.abc import Iterator

import pytest

from config.tests.processes.running_site import Site, serving

DATABASES = ["sqlite", pytest.param("postgresql", marks=pytest.mark.services)]


@pytest.fixture(scope="session")
def sqlite_site() -> Iterator[Site]:
    with serving() as site:
        yield site


@pytest.fixture(scope="session")
def postgresql_site(services: dict[str, str]) -> Iterator[Site]:
    with serving(**services) as site:
        yield site


@pytest.fixture(scope="session", params=DATABASES)
def site(request: pytest.FixtureRequest) -> Site:
    """A site on SQLite with the default cache, and one on PostgreSQL and Redis."""
    return request.getfixturevalue(f"{request.param}_site")


@pytest.fixture(params=DATABASES)
def own_site(request: pytest.FixtureRequest) -> Iterator[Site]:
    """A site that the test may stop or kill."""
    env = request.getfixturevalue("services") if request.param == "postgresql" else {}
    with serving(**env) as site:
        yield site

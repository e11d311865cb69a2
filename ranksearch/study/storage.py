"""The database behind a study: SQLite beside the study file, or a shared PostgreSQL or MySQL/MariaDB server."""

import random
import sqlite3
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import sqlalchemy
from optuna.exceptions import ExperimentalWarning, StorageInternalError
from sqlalchemy import exc as sql_errors

from ..errors import StorageError, StudyFileError, nearest
from .deadline import DEADLINE, Deadlines
from .file_system import network_file_system
from .masking import masked, without_secrets
from .mysql_tables import make_fit
from .shared_storage import SharedStorage

#: scheme of a URL → (SQLAlchemy's name with its driver, the extra that installs the driver)
DRIVERS: dict[str, tuple[str, str]] = {
    "sqlite": ("sqlite", ""),
    "postgresql": ("postgresql+psycopg", "postgresql"),
    "postgres": ("postgresql+psycopg", "postgresql"),
    "mysql": ("mysql+pymysql", "mysql"),
    "mariadb": ("mysql+pymysql", "mysql"),
}


#: what SQLite says where the same command would fail again: no such folder, or one that may not be written
BEYOND_WAITING = ("unable to open database file", "attempt to write a readonly database")

#: how each driver notices a server that no longer answers, dropped packets included, within about a minute
CONNECTIONS: dict[str, dict[str, Any]] = {
    "postgresql+psycopg": {
        "connect_timeout": 10,
        "keepalives": 1,
        "keepalives_idle": 20,
        "keepalives_interval": 10,
        "keepalives_count": 3,
        "tcp_user_timeout": 50_000,  # ms that what was sent may stay unacknowledged
        "prepare_threshold": None,  # prepared statements belong to one connection: PgBouncer hands out others
    },
    "mysql+pymysql": {"connect_timeout": 10, "read_timeout": 60, "write_timeout": 60},
}


def storage_url(storage: str, folder: Path, name: str) -> str:
    """The URL that SQLAlchemy takes.

    Args:
        storage: ``"sqlite"`` (``NAME.db`` in ``folder``), ``"sqlite:///FILE"`` (from ``folder``), or a server's URL.
        folder: of the study file.
        name: of the study.

    Raises:
        StudyFileError: no URL, or another kind of database.
    """
    if storage == "sqlite":
        return _sqlite(folder / f"{name}.db")
    try:
        url = sqlalchemy.make_url(storage)
    except (sql_errors.ArgumentError, ValueError):  # the latter: a port that is no number
        raise StudyFileError(
            f'search.storage = {masked(storage)!r} must be "sqlite", "sqlite:///FILE" or a URL such as '
            "postgresql://USER@HOST/DATABASE"
        ) from None
    scheme, _, driver = url.drivername.partition("+")
    if scheme not in DRIVERS:
        raise StudyFileError(f"search.storage: {scheme!r} is no storage{nearest(scheme, list(DRIVERS))}")
    if scheme == "sqlite":
        if url.database in (None, "", ":memory:"):
            raise StudyFileError(f"search.storage = {storage!r} must name a file: a study is resumed from it")
        return _sqlite(folder / str(url.database))
    return url.set(drivername=f"{scheme}+{driver}" if driver else DRIVERS[scheme][0]).render_as_string(
        hide_password=False
    )


def sqlite_file(url: str) -> Path | None:
    """The file behind a URL from :func:`storage_url`; None of a server."""
    parsed = sqlalchemy.make_url(url)
    return Path(str(parsed.database)) if parsed.get_backend_name() == "sqlite" else None


def _sqlite(file: Path) -> str:
    """Whatever the path holds: ``%`` and ``?`` have meanings in a URL."""
    return sqlalchemy.URL.create("sqlite", database=str(file.resolve())).render_as_string()


class _WriteAheadConnection(sqlite3.Connection):
    """Readers never wait for the writer, and a commit costs no flush of the disk's cache."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.execute("PRAGMA journal_mode = WAL")
        self.execute("PRAGMA synchronous = NORMAL")


def open_storage(url: str, *, create: bool = True) -> SharedStorage:
    """Opens a storage and makes its tables where there are none, several processes at once or not.

    Args:
        url: from :func:`storage_url`.
        create: whether an SQLite file that is not there is made.

    Raises:
        StorageError: unreachable; the same command may succeed later.
        StudyFileError: a missing driver, no study there yet, a file that is no database, or one on a network.
    """
    parsed = sqlalchemy.make_url(url)
    if file := sqlite_file(url):
        if network := network_file_system(file):
            raise StudyFileError(
                f"{file}: SQLite's locks do not hold across machines on {network}; let search.storage name a server, "
                f"postgresql://…, or a file on this machine's own disk: --storage sqlite:////tmp/{file.name}"
            )
        if not create and not file.exists():
            raise StudyFileError(f"{file}: no such study yet; `ranksearch search` makes it")
        try:
            file.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise StudyFileError(f"{file}: cannot be made: {error.strerror}") from None
        options: dict[str, Any] = {"connect_args": {"timeout": 60, "factory": _WriteAheadConnection}}
    else:
        server = CONNECTIONS.get(parsed.drivername, {"connect_timeout": 10})
        options = {"pool_size": 1, "max_overflow": 2, "connect_args": server}
    with reaching(url):
        for attempt in range(10):
            try:
                return _open(url, options)
            except (ImportError, sql_errors.NoSuchModuleError):
                scheme, _, driver = parsed.drivername.partition("+")
                ours, extra = DRIVERS[scheme]
                other = "" if ours == parsed.drivername else f", and write {scheme}:// without {driver!r}"
                raise StudyFileError(
                    f"storage {masked(url)} needs a driver that is not installed: "
                    f'pip install "ranksearch[{extra}]"{other}'
                ) from None
            except (
                sql_errors.DatabaseError,
                StorageInternalError,
            ):  # another process makes the same tables at this moment
                if attempt == 9 or not _answers(url, options):
                    raise
                time.sleep(random.uniform(0.05, 0.3))
    raise AssertionError  # unreachable: the last attempt returns or raises


def _open(url: str, options: dict[str, Any]) -> SharedStorage:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ExperimentalWarning)
        storage = SharedStorage(url, options)
    if storage.engine.name in ("mysql", "mariadb"):
        make_fit(storage.engine)
    return storage


def _answers(url: str, options: dict[str, Any]) -> bool:
    """Whether the database can be spoken to at all."""
    deadlines = Deadlines()
    engine = sqlalchemy.create_engine(url, **options, pool_events=deadlines.events)
    try:
        with deadlines.within(DEADLINE), engine.connect() as connection:
            connection.execute(sqlalchemy.text("SELECT 1"))
        return True
    except sql_errors.DatabaseError as error:
        return "locked" in str(error)
    finally:
        engine.dispose()


@contextmanager
def reaching(url: str) -> Iterator[None]:
    """Turns what a database can throw into one line that never shows a password.

    Raises:
        StorageError: the storage cannot be reached or stopped answering.
        StudyFileError: a file or tables of something else.
    """
    shown = masked(url)
    try:
        yield
    except RuntimeError as error:  # Optuna's tables of another version
        if "table schema" not in str(error):
            raise
        raise StudyFileError(f"storage {shown}: {error}") from None
    except (StorageInternalError, sql_errors.SQLAlchemyError) as error:
        found = error.__cause__ if isinstance(error, StorageInternalError) and error.__cause__ else error
        reason = str(getattr(found, "orig", None) or found).strip().splitlines()[0]
        reason = without_secrets(reason, url)
        if any(words in reason for words in BEYOND_WAITING):
            raise StudyFileError(f"storage {shown}: {reason}; is its folder there, and may it be written?") from None
        if isinstance(found, sql_errors.DatabaseError) and not isinstance(
            found, (sql_errors.OperationalError, sql_errors.InternalError)
        ):
            raise StudyFileError(f"storage {shown} is not one of Optuna's: {reason}") from None
        raise StorageError(f"storage {shown} cannot be reached: {reason}; the same command goes on later") from None

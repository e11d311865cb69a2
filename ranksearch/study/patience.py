"""Patience with a database server that does not answer: an outage shorter than the grace costs no result."""

import logging
import time
from collections.abc import Callable
from functools import wraps
from typing import Any, Concatenate, ParamSpec, Protocol, TypeVar

import sqlalchemy
from optuna.exceptions import StorageInternalError
from sqlalchemy import exc as sql_errors

from .deadline import DEADLINE, Deadlines

log = logging.getLogger(__name__)

PATIENCE = 240.0  # seconds; less than the grace, after which others take a silent worker's trial
LONGEST_PAUSE = 10.0  # seconds between two attempts

P = ParamSpec("P")
R = TypeVar("R")


class Waits(Protocol):
    """A storage that can be waited for."""

    engine: sqlalchemy.Engine
    deadlines: Deadlines
    missed: float  # when the server last did not answer, by time.monotonic()
    outage: float | None  # since when it has not answered; None where it does


S = TypeVar("S", bound=Waits)


#: what SQLAlchemy says where a connection broke off and somebody asked on: Optuna does, where reading trials fails
ASKED_ON = (sql_errors.PendingRollbackError, sql_errors.ResourceClosedError)


def is_outage(error: BaseException) -> bool:
    """Whether a server did not answer, or broke off: it may next time. A locked SQLite file has waited already."""
    found = error.__cause__ if isinstance(error, StorageInternalError) and error.__cause__ else error
    if not isinstance(found, sql_errors.DBAPIError):
        return isinstance(found, ASKED_ON)
    return isinstance(found, sql_errors.OperationalError | sql_errors.InterfaceError) or found.connection_invalidated


def patient(method: Callable[Concatenate[S, P], R]) -> Callable[Concatenate[S, P], R]:
    """Repeats a storage's method through an outage of its server, for :data:`PATIENCE` seconds from where that began,
    whatever else was asked meanwhile; each attempt with a deadline.

    What broke off may have been written all the same: a method that is not its own repetition has to see to that.
    """

    @wraps(method)
    def waiting(storage: S, *args: P.args, **kwargs: P.kwargs) -> R:
        until, pause, allowed = None, 0.2, DEADLINE
        while True:
            try:
                with storage.deadlines.within(allowed):
                    found = method(storage, *args, **kwargs)
            except (StorageInternalError, sql_errors.SQLAlchemyError) as error:
                if storage.engine.name == "sqlite" or not is_outage(error):
                    raise
                storage.missed = now = time.monotonic()
                if storage.outage is None:
                    storage.outage = now
                    log.warning("the database does not answer; waiting up to %.0f s for it", PATIENCE)
                until = until or storage.outage + PATIENCE
                if now > until:
                    raise
                time.sleep(pause)
                pause, allowed = min(2 * pause, LONGEST_PAUSE), 2 * allowed
            else:
                storage.outage = None
                return found

    return waiting


def make_patient(storage: type[Any], *methods: str) -> None:
    """Gives a class patience in these methods."""
    for name in methods:
        setattr(storage, name, patient(getattr(storage, name)))

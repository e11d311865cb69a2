"""Whether a pooled connection still lives is asked where it lay idle: asking before every transaction costs a third."""

import time
from collections.abc import Callable
from contextlib import closing
from typing import Any

import sqlalchemy

IDLE = 10.0  # seconds; what dies sooner is found by the operation itself, which is repeated


def _used(connection: Any, record: Any) -> None:
    record.info["used"] = time.monotonic()


def _ping(connection: Any, record: Any, fairy: Any) -> None:
    """Makes the pool open another connection where this one is dead."""
    if time.monotonic() - record.info.get("used", float("inf")) <= IDLE:
        return
    try:
        with closing(connection.cursor()) as cursor:
            cursor.execute("SELECT 1")
        connection.rollback()
    except Exception as error:  # each driver has its own
        raise sqlalchemy.exc.DisconnectionError from error


#: what SQLAlchemy's ``create_engine`` is to take as ``pool_events``, in the place of ``pool_pre_ping``
EVENTS: list[tuple[Callable[..., None], str]] = [(_used, "connect"), (_used, "checkin"), (_ping, "checkout")]

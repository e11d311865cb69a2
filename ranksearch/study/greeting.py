"""What a server is told on every new connection; not by options of the connection, which PgBouncer refuses."""

from collections.abc import Callable
from typing import Any

import sqlalchemy

HELD = 30.0  # seconds that a server waits for a client in the middle of a transaction: frozen, or cut off


def sentences(url: str) -> tuple[str, ...]:
    """Statements by kind of server.

    Heartbeats are written in the session's zone: one that all share, and without a summer time that makes all look old.
    A client that falls silent in mid-transaction is ended, and what it has locked is free: others wait for it.
    """
    scheme = sqlalchemy.make_url(url).get_backend_name()
    if scheme == "postgresql":
        return "SET TIME ZONE 'UTC'", f"SET idle_in_transaction_session_timeout = {round(1000 * HELD)}"
    if scheme in ("mysql", "mariadb"):  # MySQL reads a comment where MariaDB reads on, and has nothing like it
        return (f"SET time_zone = '+00:00' /*M! , idle_transaction_timeout = {max(1, round(HELD))} */",)
    return ()


def greet(url: str) -> Callable[[Any, Any], None]:
    """What SQLAlchemy calls with every new connection."""
    told = sentences(url)

    def connected(connection: Any, record: Any) -> None:
        with connection.cursor() as cursor:
            for sentence in told:
                cursor.execute(sentence)
        connection.commit()

    return connected if told else lambda connection, record: None

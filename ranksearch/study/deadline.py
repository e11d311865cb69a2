"""A deadline for what is asked of a server: libpq waits for ever where packets vanish while TCP is acknowledged."""

import os
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any
from weakref import WeakSet

DEADLINE = 60.0  # seconds that one operation may take at first; a repeated one may take twice as long each time
LOOK = 0.25  # seconds between two looks of the watch
IDLE = 5.0  # seconds without an operation after which the watch ends


class Deadlines:
    """Breaks the connections of an engine off when an operation on it is overdue; who waits on one gets an error then.

    All its connections, not the waiting one alone: they lead to the same server, and whoever uses them asks again.
    """

    def __init__(self) -> None:
        self._connections: WeakSet[Any] = WeakSet()
        self._until: dict[int, float] = {}  # thread → when its operation is overdue, by time.monotonic()
        self._watch: threading.Thread | None = None
        self._lock = threading.Lock()

    @property
    def events(self) -> list[tuple[Callable[..., None], str]]:
        """What SQLAlchemy's ``create_engine`` is to take as ``pool_events``."""
        return [(lambda connection, record: self._connections.add(connection), "connect")]

    @contextmanager
    def within(self, seconds: float) -> Iterator[None]:
        """What runs in the block has so many seconds; an inner block of the same thread is ruled by the outer one."""
        thread = threading.get_ident()
        if thread in self._until:
            yield
            return
        self._until[thread] = time.monotonic() + seconds
        self._start()
        try:
            yield
        finally:
            del self._until[thread]

    def _start(self) -> None:
        with self._lock:
            if self._watch is None:
                self._watch = threading.Thread(target=self._look, name="deadlines", daemon=True)
                self._watch.start()

    def _look(self) -> None:
        idle = 0.0
        while idle < IDLE:
            time.sleep(LOOK)
            now, until = time.monotonic(), list(self._until.values())
            idle = 0.0 if until else idle + LOOK
            if any(overdue < now for overdue in until):
                for connection in list(self._connections):
                    break_off(connection)
        with self._lock:
            self._watch = None
        if self._until:  # something began in this moment
            self._start()


def break_off(connection: Any) -> None:
    """Shuts the socket below a psycopg connection down: who reads from it sees its end at once."""
    # it may be closed already, or of a driver with time-outs of its own
    with suppress(Exception), socket.socket(fileno=os.dup(connection.fileno())) as below:
        below.shutdown(socket.SHUT_RDWR)

"""Answers of optuna-dashboard, kept while the storage stays as it is: for 5,000 trials each takes seconds to make."""

import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

from .packed import Application, Environ, Packed, StartResponse

KEPT = 32  # answers
REST = 10  # an answer that took so many seconds is given again for so many times as long, whatever changed meanwhile


@dataclass
class _Answer:
    """One address, its answer where it has one, and who makes it."""

    lock: threading.Lock = field(default_factory=threading.Lock)
    packed: Packed | None = None
    state: str = ""
    until: float = 0.0  # by time.monotonic()


class Answers:
    """WSGI: keeps what ``application`` answers below ``/api/``, compressed; the rest passes.

    Args:
        application: optuna-dashboard.
        state: names what the storage holds; an answer to another state is made again. An edit makes all of them again.
    """

    def __init__(self, application: Application, state: Callable[[], str]) -> None:
        self._application, self._state = application, state
        self._answers: OrderedDict[str, _Answer] = OrderedDict()
        self._lock = threading.Lock()

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        if environ["REQUEST_METHOD"] != "GET" or not environ["PATH_INFO"].startswith("/api/"):
            passed = self._application(environ, start_response)
            if environ["REQUEST_METHOD"] not in ("GET", "HEAD"):
                self._answers = OrderedDict()
            return passed
        answer = self._answer(f"{environ['PATH_INFO']}?{environ.get('QUERY_STRING', '')}")
        with answer.lock:  # who asks for the same meanwhile waits for it
            state, now = self._state(), time.monotonic()
            if answer.packed is None or (answer.state != state and now > answer.until):
                status, headers, body = self._ask(environ)
                if not status.startswith("200"):
                    start_response(status, headers)
                    return [body]
                answer.packed, answer.state = Packed.of(body, dict(headers)["Content-Type"]), state
                answer.until = now + (1 + REST) * (time.monotonic() - now)
        return answer.packed.send(environ, start_response)

    def _answer(self, address: str) -> _Answer:
        with self._lock:
            answers = self._answers
            answer = answers.setdefault(address, _Answer())
            answers.move_to_end(address)
            while len(answers) > KEPT:
                answers.popitem(last=False)
            return answer

    def _ask(self, environ: Environ) -> tuple[str, list[tuple[str, str]], bytes]:
        told: list[Any] = []

        def start(status: str, headers: list[tuple[str, str]], error: Any = None) -> None:
            told[:] = [status, headers]

        body = b"".join(self._application(environ, start))
        return told[0], told[1], body

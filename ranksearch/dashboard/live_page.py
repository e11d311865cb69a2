"""The report as a page that follows its studies: made again when they went on and somebody looks."""

import hashlib
import json
import logging
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from ..errors import RanksearchError, describe
from ..records import StudyHistory
from ..report.page import page
from ..study import Ledger, StudyFile, reaching
from ..study.study_books import ROOMS
from ..verbs.results import report_history, told_apart
from .packed import Environ, Packed, StartResponse

log = logging.getLogger(__name__)

LOOK = 3.0  # seconds between two looks at the storage
REST = 10  # a page that took so many seconds is not made again for so many times as long: workers want the cores
LONGEST = 60.0  # seconds of such a rest
UNSEEN = 60.0  # seconds without a request after which nobody looks
POLICY = (
    "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; img-src data: blob:; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)


@dataclass
class Watched:
    """A study that the page is about; of that name, since it may be deleted and made again."""

    file: StudyFile
    ledger: Ledger

    def state(self) -> object:
        """What changes when the page does.

        Raises:
            StudyFileError: there is no such study yet.
            StorageError: the storage cannot be reached.
        """
        with reaching(self.file.storage_url):
            now = Ledger(self.ledger.storage, self.ledger.name)
            if now.record != self.ledger.record:  # with its own seconds per trial; SQLite gives numbers again
                self.ledger = now
            counts = [self.ledger.counts(room) for room in ROOMS]
            screened = len(self.ledger.screen.candidates())
            return now.record, counts, screened, self.ledger.elastic is not None

    def history(self) -> StudyHistory:
        return report_history(self.file, self.ledger)


class LivePage:
    """WSGI: ``/ranksearch``, the page, and ``/ranksearch/state``, by which it sees that there is a newer one.

    Args:
        watched: the studies, overlaid.
        then: called with the histories whenever the page was made.
    """

    def __init__(self, watched: Sequence[Watched], then: Callable[[Sequence[StudyHistory]], None]) -> None:
        self._watched, self._then = watched, then
        self._stored = self._shown = self._trouble = ""
        self._page: Packed | None = None
        self._seen = time.monotonic()

    def state(self) -> str:
        """Names what the storage held when it was last read; to ask for it is to look."""
        self._seen = time.monotonic()
        return self._stored

    def refresh(self) -> None:
        """Makes the page anew where its studies went on."""
        state = hashlib.sha256(repr([one.state() for one in self._watched]).encode()).hexdigest()[:16]
        if state == self._shown:
            return
        histories = [one.history() for one in self._watched]
        self._then(histories)
        self._stored = state
        histories, files = told_apart(histories, [one.file for one in self._watched])
        body, end, rest = page(histories, files).rpartition("</body>")
        sign = (Path(__file__).parent / "live.html").read_text("utf-8").replace("{{ state }}", state)
        self._page, self._shown = Packed.of((body + sign + end + rest).encode(), "text/html; charset=utf-8"), state

    def keep_up(self, stopped: threading.Event) -> None:
        """Refreshes until ``stopped``, while somebody looks; what goes wrong is said on the page, and tried again."""
        pause = LOOK
        while not stopped.wait(pause):
            if time.monotonic() - self._seen > UNSEEN:
                continue
            began, trouble = time.monotonic(), ""
            try:
                self.refresh()
            except Exception as error:
                trouble = str(error) if isinstance(error, RanksearchError) else describe(error)
                if trouble != self._trouble:
                    log.warning("the page is not up to date: %s", trouble)
            self._trouble = trouble
            pause = min(LONGEST, max(LOOK, REST * (time.monotonic() - began)))

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        if environ["PATH_INFO"] == "/ranksearch/state":
            self.state()
            told = {"state": self._shown, "trouble": self._trouble}
            start_response("200 OK", [("Content-Type", "application/json"), ("Cache-Control", "no-store")])
            return [json.dumps(told).encode()]
        if environ["PATH_INFO"] == "/ranksearch" and self._page:
            self.state()
            return self._page.send(environ, start_response, ("Content-Security-Policy", POLICY))
        start_response("404 Not Found", [("Content-Type", "text/plain")])
        return [b"ranksearch: no such page\n"]

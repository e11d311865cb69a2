"""The verb ``dashboard``: our page and optuna-dashboard, live over the studies' storage, behind a guard."""

import errno
import ipaddress
import logging
import secrets
import socket
import threading
import warnings
from collections.abc import Iterable, Sequence
from contextlib import suppress
from typing import Any

import optuna
from rich.console import Console

from ..errors import RanksearchError
from ..records import StudyHistory
from ..study import Ledger, StudyFile, open_storage
from .answers import Answers
from .front_notes import FrontNotes
from .guard import Guard
from .live_page import LivePage, Watched
from .packed import Application, Environ, StartResponse
from .shown_storage import ShownStorage

TOKEN = 16  # characters of a token that somebody chose, at least


class DashboardError(RanksearchError):
    """A dashboard that cannot be served: its libraries are missing, its port is taken, its token is too short."""


def serve_dashboard(
    studies: Sequence[StudyFile], *, host: str, port: int, token: str | None, edits: bool, console: Console
) -> None:
    """Serves until Ctrl-C or SIGTERM.

    Args:
        studies: overlaid on our page; optuna-dashboard shows those that lie in the storage of the first.
        host: address to listen on; elsewhere than on loopback, a token is asked for.
        port: 0 takes a free one.
        token: None makes one where it is needed.
        edits: whether notes may be written and studies be deleted.

    Raises:
        DashboardError: see there.
        StudyFileError: there is no such study yet.
        StorageError: the storage cannot be reached.
    """
    waitress, wsgi = _libraries()
    warnings.filterwarnings("ignore", category=UserWarning, module=r"optuna\.")  # of importances from few trials, say
    if token is not None and len(token) < TOKEN:
        raise DashboardError(f"--token has {len(token)} characters and needs at least {TOKEN}; without it, one is made")
    with _listening(host, port) as listener:
        address, port = listener.getsockname()[:2]
        loopback = ipaddress.ip_address(address).is_loopback
        if token is None and not loopback:
            token = secrets.token_urlsafe(32)
        url = studies[0].storage_url
        storages: dict[str, Any] = {study.storage_url: None for study in studies}
        for each in storages:  # Optuna's cache of finished trials, the same for our page and for optuna-dashboard
            shared = open_storage(each, create=False)
            shared.keeps_names = False
            storages[each] = optuna.storages.get_storage(shared)
        watched = [Watched(study, Ledger(storages[study.storage_url], study.name)) for study in studies]
        notes = [FrontNotes(one.ledger, one.file.path) for one in watched]

        def note(histories: Sequence[StudyHistory]) -> None:
            for of, history in zip(notes, histories, strict=True):
                of.write(history)

        live = LivePage(watched, note)
        live.refresh()
        shown = ShownStorage(storages[url], [s.name for s in studies if s.storage_url == url], edits=edits)
        guard = Guard(
            _routed(live, Answers(wsgi(shown), live.state)),
            names=dict.fromkeys(("localhost", "127.0.0.1", "::1", address, host)) if loopback else None,
            token=token,
            edits=edits,
            cookie=f"ranksearch-{port}",
        )
        logging.getLogger("waitress.queue").setLevel(logging.ERROR)  # a browser asks for more at once than is served
        server = waitress.create_server(guard, sockets=[listener], threads=16, ident=None, max_request_body_size=2**20)
        wildcard = ipaddress.ip_address(address).is_unspecified
        at = f"http://{_in_url(socket.gethostname() if wildcard else address)}:{port}/"
        stopped = threading.Event()
        with suppress(KeyboardInterrupt, SystemExit):  # Ctrl-C and SIGTERM, before the server itself heeds them
            _tell(console, at, token, loopback, [s.name for s in studies if s.storage_url != url])
            threading.Thread(target=live.keep_up, args=[stopped], name="live page", daemon=True).start()
            server.run()
        stopped.set()


def _libraries() -> tuple[Any, Any]:
    try:
        import waitress
        from optuna_dashboard import wsgi
    except ImportError as error:
        raise DashboardError(
            f'`ranksearch dashboard` needs {error.name}, which is not installed: pip install "ranksearch[dashboard]"'
        ) from None
    return waitress, wsgi


def _listening(host: str, port: int) -> socket.socket:
    """A socket that listens at one address of ``host``."""
    try:
        family, _, _, _, at = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        return socket.create_server(at[:2], family=family)
    except OSError as error:
        taken = "something else listens there; --port 0 takes a free one"
        told = taken if error.errno == errno.EADDRINUSE else error.strerror
        raise DashboardError(f"--host {host} --port {port}: {told}") from None


def _in_url(address: str) -> str:
    return f"[{address}]" if ":" in address else address


def _tell(console: Console, at: str, token: str | None, loopback: bool, elsewhere: Sequence[str]) -> None:
    """Prints where the dashboard is, once it can be opened."""

    def say(line: str) -> None:
        console.print(line, soft_wrap=True)

    say(f"dashboard at {at}{f'?token={token}' if token else ''}; Ctrl-C ends it")
    if not loopback:
        port = at.rstrip("/").rpartition(":")[2]
        say("  this is plain HTTP: who reads along on the way reads the token; a tunnel keeps it on this machine:")
        say(f"  without --host, and ssh -L {port}:localhost:{port} {socket.gethostname()} from where the browser is")
    if elsewhere:
        say(f"  on our page only, since their storage is another: {', '.join(elsewhere)}")


def _routed(live: Application, dashboard: Application) -> Application:
    """Our page at ``/ranksearch``, to which ``/`` leads; the rest is optuna-dashboard's."""

    def application(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        path = environ["PATH_INFO"]
        if path in ("", "/"):
            start_response("303 See Other", [("Location", "/ranksearch"), ("Content-Length", "0")])
            return []
        ours = path == "/ranksearch" or path.startswith("/ranksearch/")
        return (live if ours else dashboard)(environ, start_response)

    return application

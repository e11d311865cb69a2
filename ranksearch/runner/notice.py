"""A notice to stop, by SIGTERM or the SIGUSR1 of schedulers: heeded at once, as Ctrl-C is, or at the next step."""

import signal
from types import FrameType

HANDED_BACK = 128 + signal.SIGTERM  # exit code of a process that was told to stop
NOTICES = (signal.SIGTERM, *([signal.SIGUSR1] if hasattr(signal, "SIGUSR1") else []))

_told = False


def heed() -> None:
    """From now on a notice raises :class:`SystemExit` wherever the main thread is; the running trial is handed back.

    Once: a scheduler signals every process of a job, and a parent passes on what it gets.
    """
    for notice in NOTICES:
        signal.signal(notice, _leave)


def _leave(signal_number: int, frame: FrameType | None) -> None:
    global _told
    _told = True
    for notice in NOTICES:
        signal.signal(notice, signal.SIG_IGN)
    raise SystemExit(HANDED_BACK)


def told() -> bool:
    """Whether a notice came."""
    return _told


def obey() -> None:
    """Leaves if a notice came that was lost: what is raised inside a destructor is printed and forgotten by Python."""
    if _told:
        raise SystemExit(HANDED_BACK)

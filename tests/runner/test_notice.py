"""A notice to stop leaves with 143, also where Python lost it, or something failed on the way out."""

import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest

from ranksearch.runner import notice

LOST = """
import os, signal
from ranksearch.runner import notice

class Closing:
    def __del__(self):
        os.kill(os.getpid(), signal.SIGTERM)
        sum(range(1000))  # the handler runs in here

notice.heed()
Closing()
print("went on")
notice.obey()
print("never")
"""


def test_a_notice_that_a_destructor_swallowed_is_obeyed_at_the_next_step() -> None:
    done = subprocess.run([sys.executable, "-c", LOST], capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (143, "went on\n")


def test_nothing_is_obeyed_before_a_notice() -> None:
    notice.obey()
    assert not notice.told()


@pytest.mark.parametrize("error", [RuntimeError("the connection is gone"), KeyError("x")])
def test_what_fails_on_the_way_out_does_not_change_the_exit_code(
    error: Exception, ranksearch: Callable[..., Any], write: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write()
    monkeypatch.setattr(notice, "_told", True)
    assert ranksearch("front", path).code == 143  # no such study yet, which is 2 otherwise

    def fails(*_: Any) -> None:
        raise error

    monkeypatch.setattr("ranksearch.verbs.results.show_front", fails)
    assert ranksearch("front", path).code == 143

"""What one process does for all is done by one, and by another where that one is gone."""

import threading
import time
from collections.abc import Callable
from pathlib import Path

import msgspec
import optuna
import pytest
from optuna.trial import TrialState

from ranksearch.study import SharedStorage, Worker, open_storage
from ranksearch.study.once import once


@pytest.fixture
def storage(url: str) -> SharedStorage:
    return open_storage(url)


def test_it_is_done_and_told(storage: SharedStorage) -> None:
    did: list[int] = []
    assert once(storage, "s/work", lambda: bool(did), lambda: did.append(1) or "result") == "result"  # type: ignore[func-returns-value]
    assert once(storage, "s/work", lambda: bool(did), lambda: pytest.fail("twice")) is None


def test_an_error_is_raised_and_the_next_one_tries(storage: SharedStorage) -> None:
    with pytest.raises(ZeroDivisionError):
        once(storage, "s/work", lambda: False, lambda: 1 / 0)
    assert once(storage, "s/work", lambda: False, lambda: 7) == 7


TOGETHER = """
import sys, time
from pathlib import Path
from ranksearch.study import open_storage
from ranksearch.study.once import once
folder = Path(sys.argv[2])
def work():
    done = len(list(folder.iterdir()))
    time.sleep(0.3)
    (folder / f"{done}").touch()
    return done
begin()
print(once(open_storage(sys.argv[1]), "s/work", lambda: (folder / "0").exists(), work))
"""


def test_of_many_one_does_it(url: str, tmp_path: Path, together: Callable[..., list[str]]) -> None:
    folder = tmp_path / "done"
    folder.mkdir()
    assert sorted(together(TOGETHER, url, str(folder), number=6)) == ["0"] + ["None"] * 5
    assert [p.name for p in folder.iterdir()] == ["0"]


def _begun_by(storage: SharedStorage, worker: Worker) -> None:
    study = optuna.create_study(study_name="s/work", storage=storage, load_if_exists=True)
    running = optuna.trial.create_trial(state=TrialState.RUNNING, user_attrs={"worker": worker.plain})
    study.add_trial(running)


def test_who_is_gone_is_relieved(storage: SharedStorage) -> None:
    _begun_by(storage, msgspec.structs.replace(Worker.current(), pid=2**22 + 1))
    assert once(storage, "s/work", lambda: False, lambda: 7) == 7


def test_who_is_at_it_is_left_to_it(storage: SharedStorage) -> None:
    _begun_by(storage, Worker("elsewhere 1", 1, 0.0))
    waits: list[int] = []

    def never() -> int:
        pytest.fail("two at once")

    assert once(storage, "s/work", lambda: False, never, wait=False) is None
    began = time.monotonic()
    assert once(storage, "s/work", lambda: False, never, until=began + 0.7, on_wait=lambda: waits.append(1)) is None
    assert time.monotonic() - began > 0.7
    assert waits == [1]
    done = threading.Event()
    threading.Timer(0.3, done.set).start()
    assert once(storage, "s/work", done.is_set, never) is None


def test_who_was_given_up_while_working_has_done_it_all_the_same(storage: SharedStorage) -> None:
    def work() -> int:
        (trial,) = storage.get_all_trials(storage.get_study_id_from_name("s/work"))
        storage.set_trial_state_values(trial._trial_id, TrialState.FAIL)
        return 7

    assert once(storage, "s/work", lambda: False, work) == 7

"""A study that was searched, books in which it is written, and its dashboard in a process of its own."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from ranksearch.records import StudyHistory
from ranksearch.study import Ledger, open_storage, opened_file, read_history

from ..toy_study import Write
from .served import Served, add


@pytest.fixture
def serve(start: Callable[..., subprocess.Popen[str]]) -> Callable[..., Served]:
    """(study file, option …) → its dashboard, on a free port."""
    return lambda *arguments: Served(start("dashboard", *arguments, "--port", 0))


@pytest.fixture(scope="session")
def measured(tmp_path_factory: pytest.TempPathFactory, ground: Path, write_study: Write) -> StudyHistory:
    """What a short search measured."""
    path = write_study(tmp_path_factory.mktemp("measured"), search={"trials": 3})
    subprocess.run([sys.executable, "-m", "ranksearch", "search", str(path)], cwd=ground, check=True)
    return read_history(opened_file(path, {}))


@pytest.fixture
def book(tmp_path: Path, write: Write, measured: StudyHistory) -> Callable[..., tuple[Path, Ledger]]:
    """(storage, history) → a study file and its books, in which all is written that was measured."""

    def book(storage: str = "sqlite", history: StudyHistory = measured) -> tuple[Path, Ledger]:
        path = write(search={"trials": 3, "storage": storage})
        ledger = Ledger(open_storage(opened_file(path, {}).storage_url), "bars")
        ledger.create(history.study)
        for trial in history.finished():
            assert trial.record
            add(ledger, trial.record)
        return path, ledger

    return book

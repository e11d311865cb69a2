"""Of the measured networks the front's are kept, and what is exported is what was measured."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ranksearch.errors import SelectionError
from ranksearch.export import load_compressed
from ranksearch.front import front, trial_table
from ranksearch.records import StudyHistory
from ranksearch.runner.results import opened_file
from ranksearch.runner.session import open_session
from ranksearch.runner.trial import measured

Command = Callable[..., Any]


def test_the_front_is_kept_and_exported(
    write: Command, ranksearch: Command, history_of: Callable[[Path], StudyHistory]
) -> None:
    path = write(training={"images": 256}, search={"trials": 8, "sampler": "random"})
    assert ranksearch("search", path).code == 0
    history = history_of(path)
    on_front = set(front(trial_table(history))["number"])
    session = open_session(opened_file(path, {}))
    assert {p.name for p in session.store.folder.iterdir()} == {f"trial-{n}.safetensors" for n in on_front}
    dominated = next(t.number for t in history.finished() if t.number not in on_front)
    with pytest.raises(SelectionError, match=f"trial {dominated}: its weights were not kept"):
        session.store.find(dominated)

    folder = path.with_name("taken")
    assert ranksearch("export", path, "--select", "all", "--to", "safetensors", "-o", folder).code == 0
    assert len(list(folder.iterdir())) == len(on_front)
    records = {t.number: t.record for t in history.finished()}
    for number in on_front:
        network = load_compressed(session.subject.network, folder / f"bars-trial-{number}.safetensors")
        record = records[number]
        assert record
        assert measured(session.subject, session.subject.search_stage, network) == record.measured

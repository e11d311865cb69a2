"""Of the measured networks the front's are kept, and what is exported is what was measured."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from ranksearch.artifacts.take_away import rank_file
from ranksearch.errors import SelectionError
from ranksearch.export import load_compressed, read_ranks
from ranksearch.front import front, trial_table
from ranksearch.layers import NetworkCost
from ranksearch.records import Measurement, Recipe, StudyHistory, Trial
from ranksearch.runner.session import open_session
from ranksearch.study import opened_file
from ranksearch.subject.trial import measured

Command = Callable[..., Any]


def test_the_front_is_kept_and_exported(
    write: Command, ranksearch: Command, history_of: Callable[[Path], StudyHistory]
) -> None:
    path = write(training={"images": 256}, search={"trials": 8, "sampler": "random"})
    assert ranksearch("search", path).code == 0
    history = history_of(path)
    on_front = set(front(trial_table(history))["number"])
    session = open_session(opened_file(path, {}))
    records = {t.number: t.record for t in history.finished() if t.record}
    folder = session.artifacts.folder
    assert {p.stem for p in folder.iterdir()} == {records[n].key for n in on_front} | {"bases"}
    dominated = next(n for n in records if n not in on_front)
    told = f"trial {dominated}: its weights are not in .*: only the front's are kept"
    with pytest.raises(SelectionError, match=told):
        session.store.find(dominated, rank_file(history.study, dominated, records[dominated]))

    taken = path.with_name("taken")
    assert ranksearch("export", path, "--select", "all", "--to", "safetensors", "-o", taken).code == 0
    assert len(list(taken.iterdir())) == len(on_front)
    for number in on_front:
        network = load_compressed(session.subject.network, taken / f"bars-trial-{number}.safetensors")
        assert measured(session.subject, session.subject.search_stage, network) == records[number].measured

    # a trial that is stored and not told yet: dominating all, it is kept, and nothing told is dropped before it is
    best = msgspec.structs.replace(
        records[min(on_front)],
        recipe=Recipe(images=1),
        measured=Measurement(1.0, 0.0, "search", 1),
        pivoted=NetworkCost(1, 1, 1e6, 1e6),
    )
    before = set(folder.iterdir())
    session.store.prune(history, session.ledger.find)
    session.store.keep(best, network, rank_file(history.study, 99, best), history)
    session.store.prune(history, session.ledger.find)
    assert set(folder.iterdir()) == before | {session.artifacts.path(f"{best.key}.safetensors")}
    told = msgspec.structs.replace(history, trials=(*history.trials, Trial(number=99, state="complete", record=best)))
    session.store.prune(told, lambda key: True)
    assert {p.stem for p in folder.iterdir()} == {best.key, "bases"}


def test_studies_of_one_name_in_two_databases_keep_their_networks_apart(
    write: Command, ranksearch: Command, history_of: Callable[[Path], StudyHistory], tmp_path: Path
) -> None:
    """Or one would be exported as what the other measured."""
    path = write(training={"images": 128}, search={"trials": 2})
    assert ranksearch("search", path).code == 0
    first = history_of(path)
    assert ranksearch("search", write(training={"images": 64}), "--storage", "sqlite:///second.db").code == 0
    write(training={"images": 128}, search={"trials": 2})
    taken = tmp_path / "taken"
    assert ranksearch("export", path, "--select", "all", "--to", "safetensors", "-o", taken).code == 0
    for file in taken.iterdir():
        number = int(file.stem.rpartition("-")[2])
        record = first.trials[number].record
        assert record is not None
        assert read_ranks(file).measured == record.measured
        session = open_session(opened_file(path, {}))
        network = load_compressed(session.subject.network, file)
        assert measured(session.subject, session.subject.search_stage, network) == record.measured
    assert len({p.name for p in path.with_suffix(".networks").iterdir()}) == 2
    write(training={"images": 128}, search={"trials": 3})
    assert ranksearch("search", path).code == 0  # its bases are its own, too

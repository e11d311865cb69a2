"""Latency in the search: as an objective, as a floor, and within one kind of machine."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest
import torch

from ranksearch.errors import StudyChangedError
from ranksearch.records import StudyHistory, StudyRecord
from ranksearch.runner.session import Session, open_session
from ranksearch.study import LatencySection, Ledger, open_storage, opened_file
from ranksearch.subject.timing import require_same_kind, threads, time_beside_dense

Command = Callable[..., Any]
Read = Callable[[Path], StudyHistory]
OBJECTIVES = ["accuracy", "compression_ratio", "latency_ratio"]


def test_both_networks_are_timed_as_asked(session: Session) -> None:
    before = torch.get_num_threads()
    found = time_beside_dense(session.subject, session.subject.network, LatencySection(batch=16, threads=1, rounds=20))
    assert (found.dense.batch, found.compressed.batch, found.threads) == (16, 16, 1)
    assert 0.3 < found.ratio < 3  # the network beside itself
    assert torch.get_num_threads() == before


def test_threads_come_back_after_a_failure() -> None:
    before = torch.get_num_threads()
    with pytest.raises(ZeroDivisionError), threads(before + 1):
        raise ZeroDivisionError
    assert torch.get_num_threads() == before


def test_a_search_with_latency_as_an_objective(write: Command, ranksearch: Command, history_of: Read) -> None:
    path = write(search={"objectives": OBJECTIVES, "trials": 5, "baselines": ["uniform"]}, latency={"rounds": 3})
    assert ranksearch("search", path).code == 0
    history = history_of(path)
    for room in ("trials", "baselines"):
        assert history.finished(room)
        assert all(t.record and t.record.latency and t.record.latency.dense.batch == 1 for t in history.finished(room))
    study = Ledger(open_storage(opened_file(path, {}).storage_url), "bars").study()
    assert study.metric_names == ["accuracy", "log2 compression_ratio", "log2 latency_ratio"]
    assert ranksearch("export", path, "--select", "knee", "-o", path.parent / "ranks.json").code == 0
    assert "latency_ratio" in (path.parent / "ranks.json").read_text()
    shown = ranksearch("front", path).out
    assert "latency ratio" in shown
    assert f"{history.front()[0].record.latency.ratio:.2f}×" in shown  # type: ignore[union-attr]


def test_a_floor_that_nothing_reaches_leaves_the_front_empty(
    write: Command, ranksearch: Command, history_of: Read
) -> None:
    path = write(search={"floors": {"latency_ratio": 1000}, "trials": 3}, latency={"rounds": 2})
    assert ranksearch("search", path).code == 0
    assert len(history_of(path).finished()) == 3
    assert history_of(path).front() == ()
    assert ranksearch("report", path, "-o", path.parent / "page.html").code == 0
    refused = ranksearch("export", path)
    assert refused.code == 2
    assert "latency_ratio ≥ 1000" in refused.err


def elsewhere(record: StudyRecord) -> StudyRecord:
    return msgspec.structs.replace(record, machine=msgspec.structs.replace(record.machine, processor="another one"))


def test_another_kind_of_machine_is_refused(write: Command, ranksearch: Command) -> None:
    path = write(search={"objectives": OBJECTIVES, "trials": 1}, latency={"rounds": 2})
    assert ranksearch("search", path).code == 0
    file = opened_file(path, {})
    ledger = Ledger(open_storage(file.storage_url), "bars")
    require_same_kind(ledger.record, open_session(file).subject)
    ledger.study().set_user_attr("record", msgspec.to_builtins(elsewhere(ledger.record)))
    with pytest.raises(StudyChangedError, match="made on cpu of another one; this is cpu of"):
        open_session(file)


def test_without_latency_any_machine_may_work(write: Command, ranksearch: Command) -> None:
    path = write(search={"trials": 1})
    assert ranksearch("search", path).code == 0
    file = opened_file(path, {})
    ledger = Ledger(open_storage(file.storage_url), "bars")
    assert ledger.history().finished()[0].record.latency is None  # type: ignore[union-attr]
    ledger.study().set_user_attr("record", msgspec.to_builtins(elsewhere(ledger.record)))
    open_session(file)

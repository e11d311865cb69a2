"""A study is made once, whoever comes first; the others wait and join."""

import copy
import re
import subprocess
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import optuna
import pytest
import torch

from ranksearch.records import StudyHistory
from ranksearch.runner.founding import drawn, join_study, lost_by_norms
from ranksearch.runner.session import Session
from ranksearch.study import SearchSection, open_storage, opened_file, read_history

Write = Callable[..., Path]


def test_who_comes_later_joins_with_the_first_ones_bases(write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    first = join_study(opened_file(write(), {}))
    monkeypatch.setattr("ranksearch.subject.subject.calibrated_bases", lambda *_, **__: pytest.fail("made again"))
    second = join_study(opened_file(write(), {}))
    assert second.ledger.record == first.ledger.record
    assert second.tables.keys() == first.tables.keys()
    assert (second.tables["4"].distortion == first.tables["4"].distortion).all()


def test_it_is_told_where_re_estimated_statistics_do_not_suit_the_dense_network(session: Session) -> None:
    network = copy.deepcopy(session.subject.network)
    assert not list(lost_by_norms(session))
    torch.nn.init.zeros_(network[0].weight)
    (told,) = lost_by_norms(replace(session, subject=replace(session.subject, network=network)))
    assert re.search(r"loses \d\d\.\d points .* on 128 training images, and", told)


def test_it_is_told_where_the_dense_network_draws(session: Session) -> None:
    assert not list(drawn(session))
    network = copy.deepcopy(session.subject.network)
    network[0].register_forward_hook(lambda module, inputs, output: torch.nn.functional.dropout(output, 0.3))
    (told,) = drawn(replace(session, subject=replace(session.subject, network=network)))
    assert "dropout or noise" in told


@pytest.mark.slow
def test_twelve_workers_on_an_empty_database_make_one_study_and_one_queue(
    write: Write, postgresql: str, start: Callable[..., subprocess.Popen[str]]
) -> None:
    path = write(training={"images": 128}, search={"trials": 14, "baselines": ["uniform"], "sampler": "random"})
    workers = [start("worker", path, "--storage", postgresql, "--cpus", 1) for _ in range(12)]
    told = [worker.communicate() for worker in workers]
    assert [worker.returncode for worker in workers] == [0] * 12, "\n".join(errors for _, errors in told)
    assert sorted(optuna.get_all_study_names(open_storage(postgresql))) == [
        "bars", "bars/baselines", "bars/confirmations", "bars/elastic", "bars/finalists", "bars/founding",
        "bars/queueing", "bars/screen", "bars/screening",
    ]  # fmt: skip
    history: StudyHistory = read_history(opened_file(path, {"storage": postgresql}))
    origins = [t.record.origin for t in history.trials if t.record and t.record.copy_of is None]
    assert origins.count("closed form") == SearchSection().closed_form
    assert 14 <= len(history.ended()) <= 14 + 11
    baselines = [t.record.origin for t in history.baselines if t.record]
    assert len(baselines) == len(set(baselines)) == 4
    assert {t.state for room in (history.trials, history.baselines) for t in room} <= {"complete", "stopped", "failed"}

"""The front trained again: with seeds of its own, once, as far as time allows, beside what selected it."""

import io
from collections.abc import Callable
from itertools import islice
from pathlib import Path
from typing import Any

import msgspec
import pandas as pd
import pytest
from rich.console import Console

from ranksearch.front import confirmed_table
from ranksearch.records import StudyHistory, trial_seed
from ranksearch.runner.confirm import confirm, confirmations, further_seeds
from ranksearch.runner.founding import join_study
from ranksearch.runner.running import prepare, run_session
from ranksearch.runner.worker import Budget
from ranksearch.study import opened_file

Command = Callable[..., Any]
Read = Callable[[Path], StudyHistory]
QUICK: dict[str, dict[str, Any]] = {"training": {"images": 128}, "screen": {"share": 0.0, "stages": []}}


def runs(history: StudyHistory) -> list[tuple[str, int]]:
    return [(t.record.key, t.record.seed) for t in history.finished("confirmations") if t.record]


def test_the_front_is_confirmed_once_and_further(write: Command, ranksearch: Command, history_of: Read) -> None:
    path = write(**QUICK)
    assert "further seeds" not in (ranksearch("search", path).out + ranksearch("front", path).out)
    first = ranksearch("search", path, "--confirm", 1)
    assert (first.code, first.err) == (0, "")
    history = history_of(path)
    selected = {t.number: t.record for t in history.front() if t.record}
    again = [t.record for t in history.confirmations if t.record]
    assert [r.origin for r in again] == [f"trial {number}" for number in selected]
    for record, before in zip(again, selected.values(), strict=True):
        assert record.key == before.key
        assert record.seed != before.seed
        assert record.measured.split == "search"
        assert record.measured.images == before.measured.images
    told = [line.split()[:3] for line in first.out.splitlines() if line.startswith("confirmation ")]
    assert told == [["confirmation", f"{n}:", f"{n + 1}/{len(again)}"] for n in range(len(again))]

    second = ranksearch("search", path, "--confirm", 2)
    assert second.code == 0
    grown = history_of(path)
    assert grown.trials == history.trials
    assert grown.confirmations[: len(again)] == history.confirmations
    assert len(set(runs(grown))) == len(runs(grown)) == 2 * len(again)
    assert ranksearch("search", path, "--confirm", 2).code == 0
    assert history_of(path) == grown

    assert (confirmed_table(grown)["seeds"] == 2).all()
    table, page = path.with_suffix(".csv"), path.with_suffix(".html")
    shown = ranksearch("front", path, "--csv", table)
    assert "further seeds" in shown.out
    assert "(2)" in shown.out
    assert (pd.read_csv(table)["room"] == "confirmations").sum() == 2 * len(again)
    assert ranksearch("report", path, "-o", page).code == 0
    assert "The front with further seeds" in page.read_text()


def test_the_first_seed_goes_round_first_and_what_fails_is_left(
    write: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    session = join_study(opened_file(write(**QUICK), {}))
    stream = io.StringIO()
    quiet = Console(quiet=True)
    prepare(session, Budget(4), quiet)
    run_session(session, Budget(4), quiet)
    history = session.ledger.history()
    points = len(history.front())
    plans = confirmations(history, 0, 2)
    assert [p.origin for p in plans[:points]] == [p.origin for p in plans[points:]]
    assert len({p.origin for p in plans[:points]}) == points

    def full(*args: object, **how: object) -> None:
        raise MemoryError

    with monkeypatch.context() as patch:
        patch.setattr("ranksearch.runner.confirm.run_trial", full)
        confirm(session, 1, Console(file=stream, width=200))
    assert stream.getvalue().count("not confirmed: MemoryError") == points
    assert not session.ledger.history().confirmations
    confirm(session, 1, Console(file=stream))
    (record, *_) = [t.record for t in session.ledger.history().confirmations if t.record]
    diverged = msgspec.structs.replace(record, failure="NaN", seed=1)
    session.ledger.add("confirmations", diverged)
    assert confirmed_table(session.ledger.history())["failures"].sum() == 1


def test_seeds_repeat_and_avoid_the_trials_own(write: Command, ranksearch: Command, history_of: Read) -> None:
    path = write(**QUICK, search={"trials": 1})
    assert ranksearch("search", path).code == 0
    (record,) = [t.record for t in history_of(path).finished() if t.record]
    seeds = list(islice(further_seeds(0, record), 20))
    assert len({*seeds, record.seed, trial_seed(0, "trials")}) == 21
    taken = msgspec.structs.replace(record, seed=seeds[0])
    assert list(islice(further_seeds(0, taken), 19)) == seeds[1:]
    assert next(further_seeds(1, record)) != seeds[0]


@pytest.mark.slow
def test_after_local_workers_have_left(
    write: Command, ranksearch: Command, history_of: Read, ground: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(ground)  # where the workers find the module barnet
    path = write(**QUICK)
    left = ranksearch("search", path, "--workers", 2, "--confirm", 1)
    assert (left.code, left.err) == (0, "")
    history = history_of(path)
    assert len(runs(history)) == len(history.front())

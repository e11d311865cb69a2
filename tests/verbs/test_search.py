"""``ranksearch search`` from nothing to a front, again, and further."""

import math
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from ranksearch.front import front, trial_table
from ranksearch.records import StudyHistory, TrialRecord
from ranksearch.report import front_figure
from ranksearch.study import SAMPLERS, Ledger, open_storage, opened_file

Command = Callable[..., Any]
Read = Callable[[Path], StudyHistory]


def records(history: StudyHistory, room: str = "trials") -> list[TrialRecord]:
    return [t.record for t in history.finished(room) if t.record]  # type: ignore[arg-type]


def test_a_study_is_made_resumed_and_continued(write: Command, ranksearch: Command, history_of: Read) -> None:
    path = write(search={"baselines": ["uniform", "energy", "evbmf"]})
    first = ranksearch("search", path)
    assert (first.code, first.err) == (0, "")
    made = history_of(path)
    assert len(made.finished()) == 4

    # the first minute: dense check, closed form over the whole box, seconds of a trial
    assert made.study.dense.accuracy > 0.9
    ratios = [point.compression_ratio for point in made.study.closed_form]
    assert ratios == sorted(ratios)
    assert ratios[0] == pytest.approx(1.5, rel=0.05)
    assert ratios[-1] == pytest.approx(6.0, rel=0.05)
    assert made.study.seconds_per_trial > 0

    # baselines: each that takes a ratio at four of them, all over the same trials' recipe
    origins = Counter(r.origin.split("@")[0] for r in records(made, "baselines"))
    left_out = Counter(
        line.split(": ")[1].split("@")[0] for line in first.out.splitlines() if line.startswith("not run: ")
    )
    assert origins + left_out == {"baseline uniform": 4, "baseline energy": 4, "baseline evbmf": 1}
    assert origins["baseline uniform"] == 4
    assert origins["baseline energy"] == 4
    assert len({r.recipe for r in records(made, "baselines")}) == 1

    # what was measured is on the books once, whole, and as it was
    for room in ("trials", "baselines"):
        keys = [r.key for r in records(made, room)]
        assert len(set(keys)) == len(keys)
    for record in records(made):
        assert record.measured.split == "search"
        assert record.measured.images == 128
        assert 0 <= record.measured.accuracy <= 1
        assert record.cost.images == 512
        assert msgspec.convert(msgspec.to_builtins(record), TrialRecord) == record
        assert msgspec.json.decode(msgspec.json.encode(record), type=TrialRecord) == record

    again = ranksearch("search", path)
    assert again.code == 0
    assert "resumed: 4 trials finished before" in again.out
    assert history_of(path) == made

    further = ranksearch("search", path, "--trials", 6)
    assert further.code == 0
    grown = history_of(path)
    assert grown.finished()[:4] == made.finished()
    assert len(grown.finished()) == 6
    assert grown.baselines == made.baselines
    assert len({r.key for r in records(grown)}) == 6


def test_one_line_per_trial_without_a_terminal(write: Command, ranksearch: Command) -> None:
    out = ranksearch("search", write(search={"baselines": ["evbmf"]})).out.splitlines()
    trials = [line for line in out if line.startswith("trial ")]
    assert [line.split()[2] for line in trials] == ["1/4", "2/4", "3/4", "4/4"]
    assert all("hypervolume" in line and " left;" in line for line in trials)
    assert len([line for line in out if line.startswith("baseline ")]) == 1
    assert out[-1].startswith("bars: front of ")


@pytest.mark.parametrize("space", ["allocated", "direct"])
@pytest.mark.parametrize("sampler", SAMPLERS)
def test_every_sampler_proposes_in_both_spaces(
    space: str, sampler: str, write: Command, ranksearch: Command, history_of: Read
) -> None:
    search = {"trials": 5, "sampler": sampler, "closed_form": 2}
    path = write(ranks={"space": space}, search=search, training={"images": 128}, screen={"share": 0})
    left = ranksearch("search", path)
    assert (left.code, left.err) == (0, "")
    origins = Counter(r.origin for r in records(history_of(path)))
    assert origins == {"closed form": 2, "sampler": 3}


def test_macs_as_a_third_objective(write: Command, ranksearch: Command, history_of: Read) -> None:
    objectives = ["accuracy", "compression_ratio", "mac_ratio"]
    path = write(search={"trials": 7, "objectives": objectives}, training={"images": 128})
    left = ranksearch("search", path)
    assert (left.code, left.err) == (0, "")
    history = history_of(path)
    assert history.study.objectives == tuple(objectives)
    ledger = Ledger(open_storage(opened_file(path, {}).storage_url), "bars")
    finished = [t for t in ledger.study().trials if t.values]
    assert [t.values for t in finished] == [
        [r.measured.accuracy, math.log2(r.counted.compression_ratio), math.log2(r.counted.mac_ratio)]
        for r in records(history)
    ]

    table = trial_table(history)
    best = front(table)
    assert 1 <= len(best) <= 7
    assert (best["mac_ratio"] > 0).all()
    assert front_figure([history]).data
    assert ranksearch("front", path).code == 0
    page = path.with_suffix(".html")
    assert ranksearch("report", path, "-o", page).code == 0
    assert page.stat().st_size > 10_000


def test_the_time_ends_a_search_that_goes_on_later(write: Command, ranksearch: Command, history_of: Read) -> None:
    path = write(search={"baselines": ["evbmf"]})
    stopped = ranksearch("search", path, "--minutes", 1e-6)
    assert stopped.code == 0
    assert "stopped: the time is over" in stopped.out
    assert not history_of(path).finished()
    assert ranksearch("search", path).code == 0
    assert len(history_of(path).finished()) == 4
    assert len(history_of(path).finished("baselines")) == 1

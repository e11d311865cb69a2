"""The screen before the trials: deterministic, resumable, and what it queues leaves the training to the sampler."""

import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import msgspec
import numpy as np
import pytest
from rich.console import Console

from ranksearch.layers import RankConfiguration, network_cost
from ranksearch.pareto import dominates
from ranksearch.progressive import FLOAT32, Elastic
from ranksearch.records import Measurement, ScreenedCandidate, StudyHistory
from ranksearch.runner import screening
from ranksearch.runner.founding import found_study
from ranksearch.runner.screening import free_places, screen_seconds, screen_stage, seconds_left, spread
from ranksearch.runner.session import Session, open_session
from ranksearch.study import opened_file
from ranksearch.subject.looks import quick_looks
from ranksearch.subject.trial import untrained

Write = Callable[..., Path]
SCREEN = {"candidates": 24, "images": 100}
QUIET = Console(quiet=True)


@pytest.fixture
def founded(write: Write) -> Callable[..., Session]:
    """A study that was made, ready to be screened."""

    def make(trials: int = 40, **sections: Any) -> Session:
        path = write(search={"trials": trials}, screen=SCREEN | sections.pop("screen", {}), **sections)
        session = open_session(opened_file(path, {}))
        if not session.ledger.exists:
            found_study(session)
        return session

    return make


def timeless(session: Session) -> tuple[ScreenedCandidate, ...]:
    return tuple(msgspec.structs.replace(c, seconds=0) for c in session.ledger.screen.candidates())


def test_a_quick_look_measures_what_a_trial_would_without_training(session: Session) -> None:
    subject = replace(session.subject, precision=FLOAT32)  # whatever the probe found: bfloat16 rounds the two apart
    (look,) = quick_looks(subject, session.bases, None, ["untrained"], 100).values()
    few = subject.search_stage.sample(100)
    splits = replace(subject.splits, search=few.measured)
    quick = replace(subject, splits=splits, dense_outputs=few.dense_outputs, reestimate=100)
    for ratio in (1.7, 3.0, 6.0):
        configuration = session.variables.allocate(ratio, {}, {})
        slow = untrained(quick, session.bases, configuration, "pivoted")[1]
        fast = look(configuration)
        assert fast.distance == pytest.approx(slow.distance, rel=1e-3, abs=1e-4)
        assert fast.accuracy == pytest.approx(slow.accuracy, abs=2 / slow.images)
        assert fast.images == slow.images


def test_candidates_are_exactly_as_many_and_the_closed_form_comes_first(founded: Callable[..., Session]) -> None:
    session = founded()
    screen_stage(session, QUIET)
    found = session.ledger.screen.candidates()
    assert len(found) == 24
    assert [c.number for c in found] == list(range(24))
    assert {c.stage for c in found} == {"untrained"}
    assert [c.values["log2_ratio"] for c in found[:16]] == pytest.approx(np.linspace(np.log2(1.5), np.log2(6), 16))
    assert all(value == 0 for c in found[:16] for name, value in c.values.items() if name != "log2_ratio")
    for c in found:
        assert set(c.values) == set(session.variables.rank_space())
        assert c.configuration == session.variables.decode_ranks(c.values)
        assert c.compression_ratio == network_cost(session.subject.spec, c.configuration, "pivoted").compression_ratio


@pytest.mark.parametrize("space", ["allocated", "direct"])
def test_it_queues_ranks_with_training_at_its_defaults(founded: Callable[..., Session], space: str) -> None:
    session = founded(ranks={"space": space})
    screen_stage(session, QUIET)
    waiting = session.ledger.study().get_trials(deepcopy=False)
    queued = [t for t in waiting if t.user_attrs["origin"] == "screen"]
    assert session.ledger.screen.queued == len(queued) > 2
    assert len(waiting) - len(queued) == 6  # the closed form's
    by_values = {tuple(c.values.items()): c for c in session.ledger.screen.candidates()}
    every = [c.objectives for c in by_values.values() if 1.5 <= c.compression_ratio <= 6]
    for trial in queued:
        values = trial.system_attrs["fixed_params"]
        assert set(values) == set(session.variables.space())
        assert values == session.variables.with_default_training(values)
        chosen = by_values[tuple((name, values[name]) for name in session.variables.rank_space())]
        assert not any(dominates(other, chosen.objectives) for other in every)


@pytest.mark.parametrize("ratios", [(1.7, 2.3, 2.9), (1.7, 2.3, 2.9, 3.7)])
def test_one_that_was_killed_while_it_queued_queues_no_more_than_it_may(
    founded: Callable[..., Session], ratios: tuple[float, ...]
) -> None:
    session = founded(screen={"enqueue": 0.1})  # of 40 trials
    for ratio in ratios:
        session.ledger.enqueue(session.variables.default_values(ratio), "screen")
    screen_stage(session, QUIET)
    assert session.ledger.unsampled()["screen"] == session.ledger.screen.queued == 4


def test_a_screen_has_no_more_time_than_its_worker(founded: Callable[..., Session]) -> None:
    session = founded()
    screen_stage(session, QUIET, until=time.monotonic())
    assert not session.ledger.screen.exists
    look, late = session.looks["untrained"], SimpleNamespace(monotonic=lambda: 1e9, perf_counter=time.perf_counter)
    with pytest.MonkeyPatch.context() as patch:

        def last(configuration: RankConfiguration) -> Measurement:
            if len(session.ledger.screen.candidates()) == 2:
                patch.setattr(screening, "time", late)
            return look(configuration)

        patch.setitem(session.looks, "untrained", last)
        screen_stage(session, QUIET, until=1e9)
    assert len(session.ledger.screen.candidates()) == 3
    assert session.ledger.screen.queued is None
    screen_stage(session, QUIET)
    assert len(session.ledger.screen.candidates()) == 24
    assert session.ledger.screen.queued


def test_a_trial_that_was_cut_short_in_asking_is_no_obstacle(founded: Callable[..., Session]) -> None:
    """Its worker was killed between two of its variables: those that it had are queued again."""
    session = founded()
    session.ledger.enqueue({"log2_ratio": 1.3}, "sampler")
    screen_stage(session, QUIET)
    assert session.ledger.screen.queued


@pytest.mark.parametrize("number", [0, 3, 16])
def test_what_is_queued_already_is_not_queued_again(founded: Callable[..., Session], number: int) -> None:
    """As many allocations in closed form as the study file says, not the six of the first minute."""
    path = founded().study.path
    session = open_session(opened_file(path, {"closed_form": number, "storage": f"sqlite:///{number}.db"}))
    found_study(session)
    screen_stage(session, QUIET)
    queued = session.ledger.queued()
    chosen = [session.variables.decode_ranks(values).digest for values in queued]
    assert len(set(chosen)) == len(chosen) == number + (session.ledger.screen.queued or 0)
    if number == 0:  # then the largest network on the screen's front is its first point, not left out
        ratios = [c.compression_ratio for c in session.ledger.screen.candidates()]
        low = [network_cost(session.subject.spec, session.variables.decode_ranks(v), "pivoted") for v in queued]
        assert min(cost.compression_ratio for cost in low) == pytest.approx(min(r for r in ratios if r >= 1.5))


def test_trials_run_from_it_with_default_training_and_say_what_the_stages_said(
    write: Write, ranksearch: Callable[..., Any], history_of: Callable[[Path], StudyHistory]
) -> None:
    path = write(
        search={"trials": 12},
        screen=SCREEN | {"enqueue": 0.3, "candidates": 30},
        training={"images": 128, "lr": {"low": 0.005, "high": 0.1, "log": True}},
    )
    left = ranksearch("search", path)
    assert (left.code, left.err) == (0, "")
    assert "screen, untrained: 30 candidates of 30" in left.out
    assert "screen: 30 candidates in" in left.out
    history = history_of(path)
    trials = [t.record for t in history.finished() if t.record]
    screened = [r for r in trials if r.origin == "screen"]
    known = {c.configuration.digest: c for c in open_session(opened_file(path, {})).ledger.screen.candidates()}
    assert 1 < len(screened) <= 4
    drawn = [r for r in trials if r.origin == "sampler"]
    assert {r.recipe.lr for r in screened} == {r.recipe.lr for r in trials if r.origin == "closed form"}
    assert len({r.recipe.lr for r in drawn}) == len(drawn) > 1
    for record in screened:
        said = known[record.configuration.digest]
        assert record.stages["untrained"].distance == pytest.approx(said.distance, rel=1e-4, abs=1e-6)
    assert all(set(r.stages) == {"untrained"} and r.stages["untrained"].images <= 128 for r in trials)
    again = ranksearch("search", path)
    assert "screen" not in again.out.replace("from the screen", "")
    assert history_of(path) == history


def test_it_is_deterministic_and_goes_on_where_it_stopped(
    founded: Callable[..., Session], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    # By timing it is not the same.
    monkeypatch.setattr("ranksearch.subject.subject.fast_precision", lambda *arguments: FLOAT32)
    session = founded()
    counted = iter(range(100))

    class Interrupted(KeyboardInterrupt):
        pass

    add = type(session.ledger.screen).add

    def interrupted(*arguments: Any) -> None:
        if next(counted) == 19:
            raise Interrupted
        add(*arguments)

    monkeypatch.setattr(type(session.ledger.screen), "add", interrupted)
    with pytest.raises(Interrupted):
        screen_stage(session, QUIET)
    resumed = founded()
    assert len(resumed.ledger.screen.candidates()) == 19
    assert resumed.ledger.screen.queued is None
    screen_stage(resumed, QUIET)
    first = timeless(resumed)
    assert len(first) == 24
    queued = [t.system_attrs for t in resumed.ledger.study().get_trials(deepcopy=False)]
    (tmp_path / "bars.db").unlink()
    whole = founded()
    screen_stage(whole, QUIET)
    assert timeless(whole) == first
    assert [t.system_attrs for t in whole.ledger.study().get_trials(deepcopy=False)] == queued


def test_by_elastic_slice_after_untrained(founded: Callable[..., Session]) -> None:
    session = founded()
    elastic = Elastic(session.subject.network, session.bases)
    vars(session)["elastic"] = elastic  # as elastic_stage leaves it
    screen_stage(session, QUIET)
    untrained_, sliced = (session.ledger.screen.candidates(s) for s in ("untrained", "elastic"))
    assert (len(untrained_), len(sliced)) == (24, 24)
    within = [c for c in untrained_ if 1.5 <= c.compression_ratio <= 1.05 * 6]
    front = [c for c in within if not any(dominates(o.objectives, c.objectives) for o in within)]
    first = {c.configuration.digest for c in sliced[: len(front)]}
    assert {c.configuration.digest for c in front} <= first
    assert free_places(session) == 0 or session.ledger.screen.queued


def test_shares_of_seconds_and_of_trials(founded: Callable[..., Session]) -> None:
    session = founded(screen={"candidates": None, "share": 0.2})
    per_trial = session.ledger.record.seconds_per_trial
    assert screen_seconds(session) == pytest.approx(0.25 * 40 * per_trial)
    assert seconds_left(session) == screen_seconds(session)
    assert free_places(session) == 20  # half of 40; 6 are the closed form's
    assert free_places(founded(screen={"enqueue": 1.0})) == 30  # a tenth bypasses it
    assert free_places(founded(screen={"bypass": 1.0})) == 0
    assert free_places(founded(trials=6)) == 0


def test_it_stops_when_its_seconds_are_over_and_is_not_taken_up_again(
    founded: Callable[..., Session], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ranksearch.runner.screening.screen_seconds", lambda session: 0.5)
    session = founded(screen={"candidates": None})
    screen_stage(session, QUIET)
    found = session.ledger.screen.candidates()
    assert sum(c.seconds for c in found) >= 0.5
    assert sum(c.seconds for c in found[:-1]) < 0.5
    screen_stage(session, QUIET)
    assert session.ledger.screen.candidates() == found


@pytest.mark.parametrize("screen", [{"share": 0}, {"stages": []}, {"stages": ["elastic"]}])
def test_it_can_be_switched_off(founded: Callable[..., Session], screen: dict[str, Any]) -> None:
    session = founded(screen=screen)
    screen_stage(session, QUIET)
    assert not session.ledger.screen.exists
    assert seconds_left(session) == 0


@pytest.fixture
def candidates() -> Callable[..., list[ScreenedCandidate]]:
    def make(*ratios: float) -> list[ScreenedCandidate]:
        return [
            ScreenedCandidate(
                number=i, stage="untrained", values={}, configuration=RankConfiguration({}), compression_ratio=r,
                accuracy=0.5, distance=0.1, seconds=1.0,
            )
            for i, r in enumerate(ratios)
        ]  # fmt: skip

    return make


def test_a_spread_covers_the_range_from_its_beginning(candidates: Callable[..., list[ScreenedCandidate]]) -> None:
    rows = candidates(1, 1.01, 1.02, 2, 4, 7.9, 8)
    ratios = [c.compression_ratio for c in spread(rows, 4)]
    assert ratios == [1, 8, 2, 4] or ratios == [1, 8, 4, 2]
    assert {c.number for c in spread(rows, 99)} == set(range(7))
    assert spread(rows, 0) == spread([], 3) == []
    assert [c.number for c in spread(rows, 1)] == [0]
    assert [c.compression_ratio for c in spread(rows, 2, taken=[1, 8])] in ([2, 4], [4, 2])

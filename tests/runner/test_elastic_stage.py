"""The shared training of a study: once, resumable after kill -9, booked with its cost; trials start as its slices."""

import io
import subprocess
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import optuna
import pytest
import torch
from rich.console import Console

from ranksearch.artifacts.artifacts import file_digest
from ranksearch.artifacts.elastic_file import ADAPTER
from ranksearch.errors import NonFiniteError, StudyChangedError, StudyFileError, WeightsError
from ranksearch.networks import weights_fingerprint
from ranksearch.records import NO_DECAY, DecaySchedule, ElasticRecord, RankFile, Recipe, StudyHistory
from ranksearch.runner import elastic_stage as stage
from ranksearch.runner.elastic_stage import elastic_stage, is_due, slice_measurement
from ranksearch.runner.finetune import finetune
from ranksearch.runner.founding import enqueue_baselines, found_study
from ranksearch.runner.session import BASES, Session, open_session
from ranksearch.study import Worker, opened_file
from ranksearch.subject.trial import run_trial, untrained

Command = Callable[..., Any]
Open = Callable[..., Session]

ELASTIC = {
    "training": {"init": "elastic"},
    "elastic": {"steps": 12, "batch": 64, "slices": 2},
    "schedule": {"shape": "none"},
}


@pytest.fixture
def opened(write: Command) -> Open:
    """A study whose trials start from the elastic adapter; made, the adapter not yet trained."""

    def open_(**changes: dict[str, Any]) -> Session:
        sections = {name: ELASTIC.get(name, {}) | changes.get(name, {}) for name in ELASTIC | changes}
        session = open_session(opened_file(write(**{**sections, "screen": {"share": 0}}), {}))
        if not session.ledger.exists:
            found_study(session)
        return session

    return open_


def staged(session: Session) -> str:
    """What the stage prints."""
    console = Console(file=io.StringIO(), width=200)
    elastic_stage(session, console)
    return console.file.getvalue()  # type: ignore[attr-defined]


def test_trained_once_and_booked_with_what_it_cost(opened: Open) -> None:
    session = opened()
    out = staged(session)
    assert "12 steps of 2 × 64 images, 75% of what the trials see" in out  # 4 trials of 512 images
    assert out.count("slice@") == stage.SHOWN
    record = session.ledger.history().elastic
    assert record is not None
    assert (record.steps, record.slices, record.images, record.off) == (12, 2, 12 * 2 * 64, "")
    assert record.seconds > 0
    path = session.artifacts.path(ADAPTER)
    assert record.digest == file_digest(path)
    assert {p.name for p in session.artifacts.folder.iterdir()} == {ADAPTER, BASES}  # no checkpoint is left
    before = path.stat().st_mtime_ns
    again = opened()
    assert staged(again) == ""
    assert path.stat().st_mtime_ns == before
    assert again.elastic is not None


def test_a_trial_from_it_starts_as_its_slice(opened: Open) -> None:
    session = opened()
    staged(session)
    elastic = session.elastic
    assert elastic is not None
    configuration = session.variables.allocate(3.0, {}, {})
    measured = slice_measurement(session, elastic, configuration)
    assert measured != untrained(session.subject, session.bases, configuration, "pivoted")[1]
    for init, expected in (("elastic", True), ("decomposition", False)):
        recipe = Recipe(images=64, batch=64, lr=1e-9, init=init)  # type: ignore[arg-type]
        plan = session.plan(configuration, NO_DECAY, recipe)
        assert plan.recipe.init == init
        network, bases = session.start(init)  # type: ignore[arg-type]
        _, record = run_trial(session.subject, bases, plan, "pivoted", network=network)
        assert (record.measured.distance == pytest.approx(measured.distance, rel=0.05)) == expected
        assert record.recipe.init == init


def test_it_is_better_than_the_truncation_and_the_dense_network_is_left_alone(opened: Open) -> None:
    session = opened(elastic={"steps": 60})
    before = weights_fingerprint(session.subject.network)
    staged(session)
    assert weights_fingerprint(session.subject.network) == before
    assert session.elastic is not None
    configuration = session.variables.allocate(5.0, {}, {})
    found = slice_measurement(session, session.elastic, configuration)
    start = untrained(session.subject, session.bases, configuration, "pivoted")[1]
    assert found.distance is not None
    assert start.distance is not None
    assert found.distance < start.distance


def test_off_where_it_would_not_pay_and_trials_then_start_from_the_decomposition(opened: Open) -> None:
    for section, why in (({"steps": None}, "less than 300 steps of 2 × 64"), ({"steps": 0}, "elastic.steps = 0")):
        session = opened(elastic=section, search={"storage": f"sqlite:///{len(why)}.db"})
        out = staged(session)
        assert "elastic adapter: off, " in out
        assert why in out
        assert staged(session) == out  # and again where it is resumed
        assert not session.artifacts.path(ADAPTER).exists()
        plan = session.plan(session.variables.allocate(3.0, {}, {}), NO_DECAY, Recipe(init="elastic"))
        assert plan.recipe.init == "decomposition"
        with pytest.raises(StudyFileError, match=r"has no elastic adapter to start from.*finetune\.init"):
            session.start("elastic")


def test_a_study_that_was_too_short_may_be_prolonged(opened: Open) -> None:
    short = opened(elastic={"steps": None, "batch": 2, "slices": 1}, training={"images": 64}, search={"trials": 2})
    assert "elastic adapter: off, " in staged(short)
    longer = open_session(opened_file(short.study.path, {"trials": 40}))
    assert "trained in " in staged(longer)
    assert longer.ledger.elastic == open_session(short.study).ledger.elastic
    assert (
        longer.plan(longer.variables.allocate(3.0, {}, {}), NO_DECAY, Recipe(init="elastic")).recipe.init == "elastic"
    )
    assert staged(longer) == ""


def test_of_several_that_find_it_prolonged_one_trains(opened: Open) -> None:
    short = opened(elastic={"steps": None, "batch": 2, "slices": 1}, training={"images": 64}, search={"trials": 2})
    staged(short)
    first, second = (open_session(opened_file(short.study.path, {"trials": 40})) for _ in range(2))
    assert second.ledger.elastic == first.ledger.elastic  # both have seen that there was none
    assert "trained in " in staged(first)
    assert is_due(second)
    assert staged(second) == ""
    assert second.ledger.elastic == first.ledger.elastic
    assert second.elastic is not None
    second.ledger.book_elastic(ElasticRecord(off="too late"))
    assert open_session(short.study).ledger.elastic == first.ledger.elastic


def test_an_interrupted_training_of_another_length_is_left_behind(
    opened: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stage, "CHECKPOINT_EVERY", 100)
    sections: dict[str, Any] = {"elastic": {"steps": None, "batch": 2, "slices": 1}, "training": {"images": 64}}
    session = opened(**sections, search={"trials": 40})

    def stop(done: int, of: int) -> None:
        if done == 150:
            raise KeyboardInterrupt

    with monkeypatch.context() as once:
        once.setattr(stage, "progress_lines", lambda console: stop)
        with pytest.raises(KeyboardInterrupt):
            staged(session)
    assert session.artifacts.path(stage.checkpoint_name(session, 320)).exists()
    longer = open_session(opened_file(session.study.path, {"trials": 50}))
    staged(longer)
    assert longer.ledger.elastic is not None
    assert longer.ledger.elastic.steps == 400


def test_what_helps_a_training_that_diverges_may_be_changed_until_there_is_an_adapter(opened: Open) -> None:
    session = opened(elastic={"lr": 1e30, "clip": 1e30})
    with pytest.raises(NonFiniteError, match=r"elastic adapter: .* lower elastic\.lr .* or elastic\.steps = 0"):
        staged(session)
    tamer = opened(elastic={"lr": 0.01})
    assert "trained in" in staged(tamer)
    assert opened(elastic={"lr": 0.01}).ledger.has_elastic
    with pytest.raises(StudyChangedError, match=r"elastic\.lr 0\.01 → 0\.03"):
        opened(elastic={"lr": 0.03})


def test_nothing_is_trained_where_no_trial_starts_from_it(opened: Open) -> None:
    session = opened(training={"init": "decomposition"})
    assert staged(session) == ""
    assert session.ledger.elastic is None


def test_baselines_start_from_the_decomposition(opened: Open) -> None:
    session = opened(search={"baselines": ["uniform"]})
    assert enqueue_baselines(session) == enqueue_baselines(session)  # the second time, all are there
    assert len(session.ledger.study("baselines").trials) == 4
    plans = [t.user_attrs["plan"] for t in session.ledger.study("baselines").trials]
    assert {p["recipe"]["init"] for p in plans} == {"decomposition"}
    assert session.variables.default_training()[1].init == "elastic"


def test_a_missing_or_other_file_is_told(opened: Open) -> None:
    session = opened()
    staged(session)
    path = session.artifacts.path(ADAPTER)
    moved = path.rename(path.with_suffix(".moved"))
    with pytest.raises(
        WeightsError, match=r"elastic\.safetensors: the study's elastic adapter is not in .*search\.artifacts"
    ):
        _ = opened().elastic
    path.write_bytes(moved.read_bytes() + b" ")
    with pytest.raises(WeightsError, match=r"not the study's elastic adapter, or damaged \(digest "):
        _ = opened().elastic


def test_other_bases_are_told(opened: Open) -> None:
    session = opened()
    staged(session)
    again = opened()
    spoiled = dict(again.bases)
    of = spoiled["0"]
    spoiled["0"] = type(of)(
        of.spec, of.table, of.basis_out, of.basis_in, -of.coefficients, of.unwhiten_out, of.unwhiten_in
    )
    with pytest.raises(StudyChangedError, match="computes something else here than on the machine that trained it"):
        _ = replace(again, bases=spoiled).elastic


def test_divergence_names_the_section(opened: Open) -> None:
    with pytest.raises(NonFiniteError, match=r"elastic adapter: .*lower elastic\.lr .* or elastic\.steps = 0"):
        staged(opened(elastic={"lr": 1e30}))


def test_finetune_starts_from_it_or_refuses_before_training(opened: Open) -> None:
    session = opened()
    recipe = Recipe(images=512, batch=64, init="elastic")
    schedule = DecaySchedule(shape="linear", fade="full")
    ranks = RankFile(
        network={}, configuration=session.variables.allocate(3.0, {}, {}), recipe=recipe, schedule=schedule
    )
    given: dict[str, Any] = {"epochs": 1, "seeds": 1, "folder": session.study.folder / "runs"}
    with pytest.raises(StudyFileError, match="has no elastic adapter to start from"):
        finetune(session, {"three": ranks}, changes={}, **given)
    (plain, control) = finetune(session, {"three": ranks}, changes={"init": "decomposition"}, **given).records
    assert (plain.recipe.init, plain.schedule.fade) == ("decomposition", "full")
    session = opened()
    staged(session)
    found, same = finetune(session, {"three": ranks}, changes={}, **given).records
    assert (found.recipe.init, found.schedule.fade) == ("elastic", "residual")
    assert control == same  # the dense control has no adapters, so it is one for both
    assert found.measured != plain.measured


@pytest.mark.slow
def test_kill_9_and_the_same_command(
    write: Command, start: Callable[..., subprocess.Popen[str]], ranksearch: Command, tmp_path: Path,
    history_of: Callable[[Path], StudyHistory],
) -> None:  # fmt: skip
    steps = 2 * stage.CHECKPOINT_EVERY + 40
    sections = {**ELASTIC, "elastic": {"steps": steps, "batch": 16}, "search": {"trials": 3}, "screen": {"share": 0}}
    path = write(**sections)
    process = start("search", path)
    for _ in range(6000):
        assert process.poll() is None, process.communicate()
        time.sleep(0.01)
        if checkpoints := list(path.with_name("bars.networks").glob(f"*/elastic-{steps}-*.checkpoint")):
            break
    (checkpoint,) = checkpoints
    process.kill()
    process.wait()
    done = torch.load(checkpoint, weights_only=True)["progress"]["step"]
    assert done in (stage.CHECKPOINT_EVERY, 2 * stage.CHECKPOINT_EVERY)
    assert history_of(path).elastic is None
    left = ranksearch("search", path)
    assert (left.code, left.err) == (0, "")
    history = history_of(path)
    assert history.elastic is not None
    assert history.elastic.steps == steps
    assert {t.record.recipe.init for t in history.finished() if t.record} == {"elastic"}
    assert not checkpoint.exists()

    whole = tmp_path / "whole"
    whole.mkdir()
    (whole / path.name).write_text(path.read_text())
    session = open_session(opened_file(whole / path.name, {}))
    found_study(session)
    staged(session)
    uninterrupted = session.ledger.elastic
    assert uninterrupted is not None
    assert uninterrupted.outputs == history.elastic.outputs
    assert msgspec.structs.replace(uninterrupted, seconds=0, peak_memory=0) == msgspec.structs.replace(
        history.elastic, seconds=0, peak_memory=0
    )


def test_who_finds_another_at_it_waits_until_its_time_is_over(opened: Open) -> None:
    session, console = opened(), Console(file=io.StringIO())
    turns = optuna.create_study(study_name="bars/elastic", storage=session.ledger.storage)
    other = {"worker": Worker("elsewhere 1", 1, 0.0).plain}
    turns.add_trial(optuna.trial.create_trial(state=optuna.trial.TrialState.RUNNING, user_attrs=other))
    assert elastic_stage(session, console, until=time.monotonic() + 0.01) is None
    threading.Timer(0.5, session.ledger.book_elastic, (ElasticRecord(off="too short"),)).start()
    assert elastic_stage(session, console) is None
    assert session.ledger.elastic == ElasticRecord(off="too short")
    told = console.file.getvalue()  # type: ignore[attr-defined]
    assert told.count("waiting for the process that trains the elastic adapter") == 2

"""Full-length runs beside a dense control: recorded once, resumed exactly, exported as measured."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from ranksearch.errors import RankError
from ranksearch.export import load_compressed, read_ranks
from ranksearch.layers import RankConfiguration
from ranksearch.records import DENSE_CONTROL, DecaySchedule, RankFile, Recipe, TrialRecord
from ranksearch.runner import worker
from ranksearch.runner.finetune import finetune, plans
from ranksearch.runner.founding import found_study
from ranksearch.runner.session import Session, open_session
from ranksearch.runner.worker import RepeatedFailureError
from ranksearch.study import opened_file
from ranksearch.subject.subject import study_subject
from ranksearch.subject.trial import Plan, measured

EPOCHS, STEPS = 2, 20  # 640 images of train + search, in batches of 64


@pytest.fixture
def opened(tmp_path: Path, write_study: Callable[..., Path]) -> Callable[[str], Session]:
    """A study that was made, by the name of its folder; the same one where it was made before."""

    def open_(name: str) -> Session:
        (tmp_path / name).mkdir(exist_ok=True)
        study = opened_file(write_study(tmp_path / name), {})
        # One precision for both: on a busy machine the probe may find another one the second time.
        session = open_session(study, subject=lambda _: study_subject(study, precision="float32"))
        if not session.ledger.exists:
            found_study(session)
        return session

    return open_


def run(session: Session, on_step: Callable[[Plan, int, int], None] = lambda plan, done, of: None) -> list[TrialRecord]:
    network = {"model": "barnet:make", "weights": session.subject.weights}
    recipe = Recipe(images=512, batch=64)
    ranks = RankFile(network=network, configuration=session.variables.allocate(3.0, {}, {}), recipe=recipe)
    folder = session.study.folder / "runs"
    files = {"three": ranks, "the same": ranks}
    return finetune(
        session, files, epochs=EPOCHS, seeds=2, changes={"lr": 0.03}, folder=folder, on_step=on_step
    ).require()


def said(records: list[TrialRecord]) -> list[dict]:
    """All of the records that two runs must agree in: not seconds, nor memory."""
    return [{k: v for k, v in msgspec.to_builtins(r).items() if k != "cost"} for r in records]


def test_runs_are_recorded_resumed_and_exported(
    opened: Callable[[str], Session], caplog: pytest.LogCaptureFixture
) -> None:
    steps: list[tuple[str, int, int]] = []
    session = opened("whole")
    stage = session.subject.final_stage
    records = run(session, lambda plan, done, of: steps.append((plan.origin, plan.seed, done)))
    assert len(stage.train) == 640 == len(session.subject.splits.train) + len(session.subject.splits.search)
    assert len(records) == 6
    names = ("finalist three", "finalist the same", DENSE_CONTROL)
    assert [(r.origin, r.seed) for r in records] == [(name, seed) for name in names for seed in (0, 1)]
    assert len(steps) == 4 * STEPS  # the same ranks under another name are not trained twice
    for record in records:
        assert (record.measured.split, record.measured.images) == ("test", 128)
        assert record.recipe.images == EPOCHS * 640
        assert record.recipe.lr == 0.03
        assert record.measured.accuracy > 0.8
    assert {r.pivoted.compression_ratio for r in records[4:]} == {1.0}
    finalists = [t.record for t in session.ledger.history().finished("finalists")]
    assert len(finalists) == 4

    for record in records[:2]:
        path = session.study.folder / "runs" / f"{record.key}-{record.seed}.safetensors"
        network = load_compressed(session.subject.network, path)
        assert measured(session.subject, stage, network) == record.measured == read_ranks(path).measured
        assert read_ranks(path).network["weights"] == session.fingerprint["weights"]  # its own, whatever the file said
    assert not list(session.artifacts.folder.glob("*.checkpoint"))

    steps.clear()
    assert run(opened("whole"), lambda plan, done, of: steps.append((plan.origin, plan.seed, done))) == records
    assert not steps
    whole = path.read_bytes()
    path.write_bytes(whole[:100])  # as an interrupted copy leaves it
    run(opened("whole"))
    assert path.read_bytes() == whole
    session.artifacts.remove(path.name)
    run(opened("whole"))
    assert f"{path.name}: not in {session.artifacts}. It lies where it was trained" in caplog.text

    class Killed(BaseException):
        pass

    def killed(plan: Plan, done: int, of: int) -> None:
        if (plan.origin, plan.seed, done) == ("finalist three", 1, 13):  # in the second of two epochs
            raise Killed

    with pytest.raises(Killed):
        run(opened("killed"), killed)
    again: list[tuple[str, int, int]] = []
    resumed = run(opened("killed"), lambda plan, done, of: again.append((plan.origin, plan.seed, done)))
    # from the checkpoint of the first epoch on; seed 0 is on the books
    assert [done for origin, seed, done in again if (origin, seed) == ("finalist three", 1)] == list(range(11, 21))
    assert ("finalist three", 0, 1) not in again
    assert said(resumed) == said(records)
    assert all(r.cost.seconds >= r.cost.training_seconds > 0 for r in resumed)  # those before the kill count, too


def test_ranks_of_another_network_are_refused_before_anything_is_trained(session: Session) -> None:
    ranks = RankFile(network={}, configuration=RankConfiguration({"elsewhere": "dense"}))  # type: ignore[dict-item]
    files = {"fits": msgspec.structs.replace(ranks, configuration=session.variables.allocate(3.0, {}, {}))}
    with pytest.raises(RankError, match="three: the network has no compressible layer 'elsewhere'"):
        finetune(session, files | {"three": ranks}, epochs=1, seeds=1, changes={}, folder=Path("nowhere"))


def test_a_folder_that_cannot_be_is_refused_before_anything_is_queued(session: Session, tmp_path: Path) -> None:
    (tmp_path / "taken").touch()
    ranks = RankFile(network={}, configuration=session.variables.allocate(3.0, {}, {}))
    before = session.ledger.counts("finalists")
    with pytest.raises(FileExistsError):
        finetune(session, {"x": ranks}, epochs=1, seeds=1, changes={}, folder=tmp_path / "taken")
    assert session.ledger.counts("finalists") == before


def test_ctrl_c_takes_back_what_nobody_has_begun(opened: Callable[[str], Session]) -> None:
    session, ranks = opened("too long"), {"three": RankFile(network={}, configuration=RankConfiguration({}))}
    ranks["three"] = msgspec.structs.replace(ranks["three"], configuration=session.variables.allocate(3.0, {}, {}))
    given = {"seeds": 2, "changes": {"batch": 64}, "folder": session.study.folder / "runs"}
    steps: list[tuple[int, int]] = []

    def impatient(plan: Plan, done: int, of: int) -> None:
        steps.append((plan.recipe.images, done))
        if done == 12:  # in the second epoch
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        finetune(session, ranks, epochs=3, on_step=impatient, **given)
    counts = session.ledger.counts("finalists")
    assert (counts.waiting, counts.running, counts.finished) == (0, 0, 0)
    shorter = finetune(session, ranks, epochs=1, **given).require()
    assert {record.recipe.images for record in shorter} == {640}
    steps.clear()
    after = finetune(session, ranks, epochs=3, on_step=lambda plan, done, of: steps.append((0, done)), **given)
    assert len(after.require()) == 4
    assert steps[0] == (0, 11)  # the run that was stopped goes on from its last epoch


def test_a_run_that_fails_hides_no_other(opened: Callable[[str], Session], monkeypatch: pytest.MonkeyPatch) -> None:
    session = opened("one fails")
    ranks = RankFile(network={}, configuration=session.variables.allocate(3.0, {}, {}))
    smaller = msgspec.structs.replace(ranks, configuration=session.variables.allocate(5.0, {}, {}))
    trained = worker.run_finalist

    def fails(session: Session, plan: Plan, *given: Any) -> TrialRecord:
        if plan.configuration == ranks.configuration:
            raise MemoryError("no room")
        return trained(session, plan, *given)

    monkeypatch.setattr(worker, "run_finalist", fails)
    folder = session.study.folder / "runs"
    made = finetune(session, {"a": ranks, "b": smaller}, epochs=1, seeds=1, changes={"batch": 64}, folder=folder)
    assert [record.origin for record in made.records] == ["finalist b", DENSE_CONTROL]
    assert made.failed == ("finalist a, seed 0, has no result: MemoryError: no room",)
    assert len(list(folder.iterdir())) == 1
    with pytest.raises(RepeatedFailureError, match="finalist a, seed 0, has no result"):
        made.require()


def test_what_diverges_has_no_network(opened: Callable[[str], Session], caplog: pytest.LogCaptureFixture) -> None:
    session = opened("wild")
    ranks = RankFile(network={}, configuration=session.variables.allocate(3.0, {}, {}))
    folder, changes = session.study.folder / "runs", {"lr": 1e20, "clip": 1e20}
    record, control = finetune(session, {"x": ranks}, epochs=1, seeds=1, changes=changes, folder=folder).records
    assert record.failure
    assert control.origin == DENSE_CONTROL
    assert list(folder.iterdir()) == []
    assert "not in" not in caplog.text


def test_hooi_is_another_start_under_its_own_name(opened: Callable[[str], Session]) -> None:
    session = opened("hooi")
    network = {"model": "barnet:make", "weights": session.subject.weights}
    ranks = RankFile(network=network, configuration=session.variables.allocate(3.0, {}, {}))
    given = {"epochs": 1, "seeds": 1, "folder": session.study.folder / "runs"}
    starts = [{"batch": 64}, {"batch": 64, "init": "hooi"}]
    records = [finetune(session, {"three": ranks}, changes=changes, **given).records[0] for changes in starts]
    assert [r.origin for r in records] == ["finalist three", "finalist three (HOOI)"]
    assert len(session.ledger.history().finished("finalists")) == 3  # the dense control is one for both


def test_training_and_decay_are_the_files_unless_changed(session: Session) -> None:
    given = DecaySchedule(shape="linear", fade="full", end=0.3)
    ranks = RankFile(network={}, configuration=session.variables.allocate(3.0, {}, {}), schedule=given)
    of_file, changed, elastic = (
        next(plans(session.subject, {"three": ranks}, epochs=1, seeds=1, changes=changes))[0]
        for changes in ({}, {"end": 0.6, "lr": 0.03}, {"init": "elastic"})
    )
    assert (of_file.schedule, of_file.recipe.lr) == (given, ranks.recipe.lr)
    assert (changed.schedule, changed.recipe.lr) == (given.changed({"end": 0.6}), 0.03)
    assert elastic.schedule == given.changed({"fade": "residual"})  # what starts trained cannot start at zero

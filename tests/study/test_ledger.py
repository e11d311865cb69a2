import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import optuna
import pytest
from optuna.trial import TrialState

from ranksearch.errors import StudyFileError
from ranksearch.layers import NetworkCost, RankConfiguration, Svd
from ranksearch.records import DecaySchedule, ElasticRecord, Measurement, Recipe, StudyRecord, TrialRecord
from ranksearch.study import Ledger, Planned, Worker, open_storage, origin_of, planned, run_one, sampler


def _finishes(ledger: Ledger, record: TrialRecord) -> Callable[[optuna.Trial], tuple[float, ...]]:
    def objective(trial: optuna.Trial) -> tuple[float, ...]:
        trial.suggest_float("x", 0, 1)
        return ledger.finish(trial, record)

    return objective


def test_a_study_that_was_not_made(url: str) -> None:
    ledger = Ledger(open_storage(url), "small")
    assert not ledger.exists
    with pytest.raises(StudyFileError, match="study 'small' has not been started yet"):
        _ = ledger.record


def test_what_is_written_is_read_by_another_process(ledger: Ledger, url: str, study_record: StudyRecord) -> None:
    other = Ledger(open_storage(url), "small")
    assert other.exists
    assert other.record == study_record
    names = optuna.get_all_study_names(other.storage)
    assert sorted(names) == ["small", "small/baselines", "small/confirmations", "small/finalists"]
    assert other.study().metric_names == ["accuracy", "log2 compression_ratio"]
    history = other.history()
    assert (history.study, history.trials, history.baselines, history.finalists) == (study_record, (), (), ())


def test_the_second_to_make_it_finds_the_firsts(ledger: Ledger, url: str, study_record: StudyRecord) -> None:
    late = Ledger(open_storage(url), "small")
    assert not late.create(msgspec.structs.replace(study_record, seconds_per_trial=9.0), pytest.fail)
    assert late.record == study_record


def test_who_dies_while_making_it_is_relieved(url: str, study_record: StudyRecord) -> None:
    def dies(ledger: Ledger) -> None:
        ledger.enqueue({"x": 0.1}, "closed form")
        raise KeyboardInterrupt

    def fill(ledger: Ledger) -> None:
        for x in (0.1, 0.2):
            ledger.enqueue({"x": x}, "closed form")

    first = Ledger(open_storage(url), "small")
    with pytest.raises(KeyboardInterrupt):
        first.create(study_record, dies)
    second = Ledger(open_storage(url), "small")
    assert not second.exists
    assert second.create(study_record, fill)
    assert second.exists
    assert [t.system_attrs["fixed_params"]["x"] for t in second.study().trials] == [0.1, 0.2]


MAKER = """
import sys, msgspec
from ranksearch.records import StudyRecord
from ranksearch.study import Ledger, open_storage
record = msgspec.json.decode(open(sys.argv[2]).read(), type=StudyRecord)
begin()
ledger = Ledger(open_storage(sys.argv[1]), "small")
fill = lambda ledger: [ledger.enqueue({"x": x / 10}, "closed form") for x in range(5)]
print(bool(ledger.once("founding", lambda: ledger.exists, lambda: ledger.create(record, fill))))
assert ledger.exists
"""


def test_processes_that_start_at_once_on_nothing_make_one_study_and_one_queue(
    url: str, study_record: StudyRecord, tmp_path: Path, together: Callable[..., list[str]]
) -> None:
    (tmp_path / "record.json").write_bytes(msgspec.json.encode(study_record))
    made = together(MAKER, url, str(tmp_path / "record.json"), number=4)
    assert sorted(made) == ["False"] * 3 + ["True"]
    assert len(Ledger(open_storage(url), "small").study().trials) == 5


def test_a_finished_trial(ledger: Ledger, make_record: Callable[..., TrialRecord], url: str) -> None:
    record = make_record(rank=4, accuracy=0.75)
    assert run_one(ledger.study(), _finishes(ledger, record))
    (trial,) = Ledger(open_storage(url), "small").history().trials
    assert (trial.state, trial.record) == ("complete", record)
    assert ledger.study().trials[0].values == [0.75, math.log2(record.pivoted.compression_ratio)]


def test_a_useless_configuration_is_told_with_its_flag(ledger: Ledger, make_record: Callable[..., TrialRecord]) -> None:
    failed = make_record(measured=Measurement(0.0, None, "search", 500), failure="the loss became NaN at step 3")
    assert run_one(ledger.study(), _finishes(ledger, failed))
    (trial,) = ledger.history().trials
    assert trial.record == failed
    assert ledger.study().trials[0].values[0] == 0.0


def test_the_objectives_are_those_of_the_study(
    url: str, study_record: StudyRecord, make_record: Callable[..., TrialRecord]
) -> None:
    ledger = Ledger(open_storage(url), "other")
    ledger.create(msgspec.structs.replace(study_record, objectives=("accuracy", "compression_ratio", "mac_ratio")))
    record = make_record(form="plain")
    ratios = [math.log2(record.plain.compression_ratio), math.log2(record.plain.mac_ratio)]
    assert ledger.values(record) == (0.9, *ratios)
    assert len(ledger.study("baselines").directions) == 3


@pytest.mark.parametrize(("name", "trials"), [("tpe", 60), ("gp", 30)])
def test_a_floor_steers_the_sampler(
    name: str, trials: int, url: str, study_record: StudyRecord, make_record: Callable[..., TrialRecord]
) -> None:
    """What is smaller is as accurate here, so that the floor alone keeps ``x``, the MAC ratio's share, high."""
    ledger = Ledger(open_storage(url), "small")
    ledger.create(msgspec.structs.replace(study_record, floors={"mac_ratio": 1.8}))

    def objective(trial: optuna.Trial) -> tuple[float, ...]:
        x = trial.suggest_float("x", 0, 1)
        cost = NetworkCost(100, 100, 4 - 2 * x, 1 + x)
        return ledger.finish(trial, msgspec.structs.replace(make_record(), pivoted=cost))

    for _ in range(trials):
        run_one(ledger.study(sampler=sampler(name, 0)), objective, catch=())
    proposed = [t.params["x"] for t in ledger.study().trials]
    assert [t.constraints["mac_ratio"] <= 0 for t in ledger.study().trials] == [x >= 0.8 for x in proposed]
    assert np.mean(np.array(proposed[trials // 2 :]) >= 0.8) >= 0.4  # by chance it would be a fifth
    assert all(t.record.pivoted.mac_ratio >= 1.8 for t in ledger.history().front() if t.record)


def test_the_queue_holds_nothing_twice(ledger: Ledger) -> None:
    assert ledger.enqueue({"x": 0.25}, "closed form")
    assert not ledger.enqueue({"x": 0.25}, "closed form")
    assert ledger.enqueue({"x": 0.5}, "closed form")
    assert ledger.enqueue({"x": 0.25}, "front of an earlier study")
    seen: list[Any] = []

    def objective(trial: optuna.Trial) -> tuple[float, float]:
        seen.append((trial.suggest_float("x", 0, 1), origin_of(trial), planned(trial)))
        return 0.5, 1.0

    for _ in range(4):
        run_one(ledger.study(), objective)
    assert [s[:2] for s in seen[:3]] == [
        (0.25, "closed form"), (0.5, "closed form"), (0.25, "front of an earlier study"),
    ]  # fmt: skip
    assert seen[3][1:] == ("sampler", None)


def test_baselines_wait_with_their_plans(ledger: Ledger, make_record: Callable[..., TrialRecord]) -> None:
    plan = Planned(RankConfiguration({"fc": Svd(3)}), DecaySchedule(shape="linear"), Recipe(lr=0.5))
    for origin in ("baseline uniform@4", "baseline energy@4"):
        ledger.enqueue_plan("baselines", plan, origin)
    assert ledger.plans("baselines") == {0: ("baseline uniform@4", plan), 1: ("baseline energy@4", plan)}
    seen: list[Any] = []

    def objective(trial: optuna.Trial) -> tuple[float, ...]:
        seen.append((planned(trial), origin_of(trial)))
        return ledger.finish(trial, make_record())

    assert run_one(ledger.study("baselines"), objective)
    assert seen == [(plan, "baseline uniform@4")]
    counts = ledger.counts("baselines")
    assert (counts.finished, counts.waiting, counts.claimed) == (1, 1, 2)
    assert ledger.counts().claimed == 0


def test_what_was_measured_is_found_and_copied(
    ledger: Ledger, make_record: Callable[..., TrialRecord], url: str
) -> None:
    records = [make_record(rank=r) for r in (2, 3, 4)]
    assert ledger.find(records[1].key) is None
    for record in records[:2]:
        run_one(ledger.study(), _finishes(ledger, record))
    other = Ledger(open_storage(url), "small")
    for book in (ledger, ledger, other):
        found = book.find(records[1].key)
        assert found is not None
        assert (found.number, found.record) == (1, records[1])
        assert book.find(records[2].key) is None
        assert book.find(records[1].key, "baselines") is None
    assert run_one(ledger.study(), lambda trial: ledger.copy(trial, found))
    copied = ledger.history().trials[2].record
    assert copied == msgspec.structs.replace(records[1], copy_of=1)
    assert ledger.study().trials[2].values == ledger.study().trials[1].values
    again = ledger.find(records[1].key)
    assert again is not None
    assert again.number == 1  # the one that measured, not the copy


def test_the_budget_counts_what_is_spoken_for_and_no_copies(
    ledger: Ledger, make_record: Callable[..., TrialRecord]
) -> None:
    record = make_record()
    run_one(ledger.study(), _finishes(ledger, record))
    found = ledger.find(record.key)
    assert found is not None
    run_one(ledger.study(), lambda trial: ledger.copy(trial, found))
    run_one(ledger.study(), lambda trial: 1 / 0, catch=(ZeroDivisionError,))
    ledger.storage.create_new_trial(ledger.study()._study_id)
    ledger.enqueue({"x": 0.25}, "closed form")
    counts = ledger.counts()
    assert (counts.finished, counts.copies, counts.failed, counts.running, counts.waiting) == (1, 1, 1, 1, 1)
    assert counts.claimed == 3
    assert len(ledger.history().finished()) == 1


def test_finalists_are_booked(ledger: Ledger, make_record: Callable[..., TrialRecord]) -> None:
    record = make_record(origin="finalist a.json", measured=Measurement(0.88, 0.1, "test", 300))
    ledger.add("finalists", record)
    (finalist,) = ledger.history().finished("finalists")
    assert finalist.record == record


def test_a_stopped_trial_is_booked_without_values_counts_and_is_not_known(
    ledger: Ledger, make_record: Callable[..., TrialRecord], url: str
) -> None:
    record = make_record(stopped="by the rule 'neighbours'", measured=Measurement(0.4, None, "search", 100))
    assert run_one(ledger.study(), _finishes(ledger, record))
    with_nothing_to_do = ledger.study()
    assert not run_one(with_nothing_to_do, _prunes)
    other = Ledger(open_storage(url), "small")
    stopped, idle = other.history().trials
    assert (stopped.state, stopped.record) == ("stopped", record)
    assert (idle.state, idle.record) == ("stopped", None)
    assert other.study().trials[0].values is None
    counts = other.counts()
    assert (counts.finished, counts.stopped, counts.failed, counts.claimed) == (1, 1, 0, 1)
    assert other.find(record.key) is None


def _prunes(trial: optuna.Trial) -> tuple[float, ...]:
    raise optuna.TrialPruned


def test_a_study_older_than_a_room_gets_it_when_it_is_needed(
    ledger: Ledger, make_record: Callable[..., TrialRecord]
) -> None:
    optuna.delete_study(study_name="small/confirmations", storage=ledger.storage)
    assert ledger.history().confirmations == ()
    assert ledger.counts("confirmations").finished == 0
    assert ledger.reap() == 0
    ledger.add("confirmations", make_record())
    assert len(ledger.history().finished("confirmations")) == 1


def test_rooms_of_a_deleted_study_are_not_taken_over(
    ledger: Ledger, url: str, make_record: Callable[..., TrialRecord]
) -> None:
    made = ledger.record
    ledger.add("confirmations", make_record())
    optuna.delete_study(study_name="small", storage=ledger.storage)
    again = Ledger(open_storage(url), "small")
    with pytest.raises(StudyFileError, match=r"has confirmations of a study 'small' that was deleted, .* a new name"):
        again.create(made)
    assert not again.exists
    optuna.delete_study(study_name="small/confirmations", storage=ledger.storage)
    assert Ledger(open_storage(url), "small").create(made)


def test_reaping_covers_every_room(ledger: Ledger) -> None:
    gone = {"worker": msgspec.structs.replace(Worker.current(), pid=2**22 + 1).plain, "origin": "baseline"}
    for room in ("trials", "baselines"):
        running = optuna.trial.create_trial(state=optuna.trial.TrialState.RUNNING, user_attrs=gone)
        ledger.study(room).add_trial(running)
    assert ledger.reap() == 2
    assert [ledger.counts(room).waiting for room in ("trials", "baselines")] == [1, 1]
    failed = ledger.study().trials[1]
    ledger.storage.set_trial_state_values(failed._trial_id, optuna.trial.TrialState.FAIL)
    assert ledger.reap() == 1
    assert ledger.reap() == 0


def test_the_shared_training_is_booked_once(ledger: Ledger, url: str) -> None:
    assert ledger.elastic is None
    assert ledger.history().elastic is None
    first = ElasticRecord(recipe=Recipe(images=640), slices=2, images=1280, seconds=4.0, digest="a")
    ledger.book_elastic(first)
    ledger.book_elastic(msgspec.structs.replace(first, digest="b"))
    assert Ledger(open_storage(url), "small").history().elastic == first


QUICK = """
import sys, time, msgspec, optuna
from ranksearch.records import TrialRecord
from ranksearch.study import Ledger, open_storage, run_one
optuna.logging.set_verbosity(optuna.logging.CRITICAL)
record = msgspec.json.decode(open(sys.argv[2]).read(), type=TrialRecord)
ledger, kept = Ledger(open_storage(sys.argv[1]), "small"), []

def objective(trial):
    trial.suggest_float("x", 0, 1)
    kept.append(trial.number)
    return ledger.finish(trial, record)

begin()
while (counts := ledger.counts()).finished < 400:
    ledger.reap()
    if counts.claimed - counts.waiting < 400:
        assert run_one(ledger.study("trials", optuna.samplers.RandomSampler()), objective)
    else:
        time.sleep(0.1)
print(*kept)
"""


@pytest.mark.slow
def test_four_workers_share_an_sqlite_file(
    ledger: Ledger, url: str, make_record: Callable[..., TrialRecord], tmp_path: Path,
    together: Callable[..., list[str]],
) -> None:  # fmt: skip
    (tmp_path / "record.json").write_bytes(msgspec.json.encode(make_record()))
    for i in range(40):
        ledger.enqueue({"x": i / 100}, "closed form")
    outputs = together(QUICK, url, str(tmp_path / "record.json"), number=4)
    kept = sorted(int(number) for number in " ".join(outputs).split())
    trials = Ledger(open_storage(url), "small").study().trials
    assert 400 <= len(trials) < 404  # those that were asked for at the same instant
    assert kept == [t.number for t in trials] == list(range(len(trials)))  # each once, and none was lost
    assert {t.state for t in trials} == {optuna.trial.TrialState.COMPLETE}
    assert [t.params["x"] for t in trials[:40]] == [i / 100 for i in range(40)]


@pytest.mark.parametrize("directions", [["minimize"], ["minimize", "minimize"], ["maximize", "maximize"]])
def test_an_optuna_study_of_somebody_else_is_not_taken_over(
    directions: list[str], url: str, study_record: StudyRecord
) -> None:
    storage = open_storage(url)
    foreign = optuna.create_study(study_name="small", storage=storage, directions=directions)
    foreign.add_trial(optuna.trial.create_trial(values=[0.5] * len(directions)))
    ledger = Ledger(storage, "small")
    with pytest.raises(StudyFileError, match=r"'small' that ranksearch did not make: .* a new name"):
        ledger.create(study_record)
    assert not ledger.exists


def test_what_was_queued_again_has_not_failed(ledger: Ledger) -> None:
    study = ledger.study()
    failed, repeated = study.ask(), study.ask()
    for trial in (failed, repeated):
        study.tell(trial, state=TrialState.FAIL)
    study.enqueue_trial({}, user_attrs={"retry_of": repeated.number})
    assert (ledger.counts().failed, ledger.counts().waiting) == (1, 1)

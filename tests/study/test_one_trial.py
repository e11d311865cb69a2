import math
import warnings

import optuna
import pytest
from optuna.trial import TrialState

from ranksearch.errors import NonFiniteError
from ranksearch.study import Stopped, open_storage, run_one
from ranksearch.study.abandoned import queue_again

NUMBERS = "RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 999)"


@pytest.fixture
def study(url: str) -> optuna.Study:
    return optuna.create_study(study_name="s", storage=open_storage(url))


def test_a_result_is_kept(study: optuna.Study) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert run_one(study, lambda trial: (trial.suggest_float("x", 0, 1),))
    assert study.trials[0].values == [study.trials[0].params["x"]]


def test_why_it_failed_is_written_down(study: optuna.Study) -> None:
    def fails(trial: optuna.Trial) -> tuple[float]:
        raise MemoryError("2 GiB are too few")

    assert not run_one(study, fails, catch=(MemoryError,))
    with pytest.raises(MemoryError):
        run_one(study, fails)
    assert [t.user_attrs["reason"] for t in study.trials] == ["MemoryError: 2 GiB are too few"] * 2


def test_nothing_to_do_is_no_failure(study: optuna.Study) -> None:
    def idles(trial: optuna.Trial) -> tuple[float]:
        raise optuna.TrialPruned

    assert not run_one(study, idles)
    assert [(t.state, "reason" in t.user_attrs) for t in study.trials] == [(TrialState.PRUNED, False)]


def test_a_trial_stopped_early_is_a_result(study: optuna.Study) -> None:
    def stops(trial: optuna.Trial) -> tuple[float]:
        raise Stopped

    assert run_one(study, stops)
    assert [t.state for t in study.trials] == [TrialState.PRUNED]


def test_an_error_that_looks_like_optunas_own_is_raised(study: optuna.Study) -> None:
    def fails(trial: optuna.Trial) -> tuple[float]:
        raise ValueError("mine")

    with pytest.raises(ValueError, match="mine"):
        run_one(study, fails)
    assert study.trials[0].state == TrialState.FAIL


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_values_that_are_not_finite_fail_the_trial_with_a_reason(study: optuna.Study, value: float) -> None:
    assert not run_one(study, lambda trial: (value,), catch=(NonFiniteError,))
    assert "not all finite" in study.trials[0].user_attrs["reason"]


@pytest.mark.parametrize("leave", [KeyboardInterrupt, SystemExit])
def test_an_interrupted_trial_is_handed_back(study: optuna.Study, leave: type[BaseException]) -> None:
    def stopped(trial: optuna.Trial) -> tuple[float]:
        trial.suggest_float("x", 0, 1)
        raise leave

    for _ in range(4):  # however often
        with pytest.raises(leave):
            run_one(study, stopped)
    assert [t.state for t in study.trials] == [TrialState.FAIL] * 4 + [TrialState.WAITING]
    assert run_one(study, lambda trial: (trial.suggest_float("x", 0, 1),))
    assert len({t.params["x"] for t in study.trials}) == 1
    assert len(study.trials) == 5


def test_interrupted_in_the_middle_of_a_read_while_others_write(url: str) -> None:
    study = optuna.create_study(study_name="s", storage=open_storage(url))
    other = optuna.load_study(study_name="s", storage=open_storage(url))
    unread = []

    def stopped(trial: optuna.Trial) -> tuple[float]:
        trial.suggest_float("x", 0, 1)
        connection = study._storage._backend.engine.raw_connection()
        cursor = connection.cursor()
        cursor.execute(f"WITH {NUMBERS} SELECT * FROM n, trials")
        cursor.fetchone()
        unread.append(cursor)  # as the traceback of what interrupted it does
        connection.close()
        other.enqueue_trial({"x": 0.5})
        raise SystemExit

    with pytest.raises(SystemExit):
        run_one(study, stopped)
    assert [t.state for t in other.trials] == [TrialState.FAIL, TrialState.WAITING, TrialState.WAITING]


def test_interrupted_while_the_sampler_works(study: optuna.Study) -> None:
    class Slow(optuna.samplers.RandomSampler):
        def before_trial(self, study: optuna.Study, trial: optuna.trial.FrozenTrial) -> None:
            raise KeyboardInterrupt

    study.enqueue_trial({"x": 0.25})
    study.sampler = Slow()
    with pytest.raises(KeyboardInterrupt):
        run_one(study, lambda trial: (trial.suggest_float("x", 0, 1),))
    assert [t.state for t in study.trials] == [TrialState.FAIL, TrialState.WAITING]
    assert study.trials[1].system_attrs["fixed_params"] == {"x": 0.25}


@pytest.mark.parametrize("late", ["returns", "writes", "raises"])
def test_a_worker_that_was_given_up_drops_its_result_and_goes_on(study: optuna.Study, late: str) -> None:
    def given_up(trial: optuna.Trial) -> tuple[float]:
        trial.suggest_float("x", 0, 1)
        study._storage.set_trial_state_values(trial._trial_id, TrialState.FAIL)  # another worker, meanwhile
        queue_again(study, study.trials[trial.number])
        if late == "writes":
            trial.set_user_attr("record", {})
        if late == "raises":
            raise MemoryError
        return (1.0,)

    assert not run_one(study, given_up, catch=(MemoryError,))
    assert [t.state for t in study.trials] == [TrialState.FAIL, TrialState.WAITING]
    assert run_one(study, lambda trial: (trial.suggest_float("x", 0, 1),))
    assert len(study.trials) == 2


def test_ctrl_c_in_a_trial_that_was_given_up_still_stops(study: optuna.Study) -> None:
    def given_up(trial: optuna.Trial) -> tuple[float]:
        study._storage.set_trial_state_values(trial._trial_id, TrialState.FAIL)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_one(study, given_up)

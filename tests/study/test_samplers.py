import warnings
from collections.abc import Callable
from typing import Any

import optuna
import pytest

from ranksearch.errors import StudyFileError
from ranksearch.study import SAMPLERS, open_storage, sampler
from ranksearch.study.samplers import POPULATION

Points = list[dict[str, Any]]


def _objective(trial: optuna.Trial) -> tuple[float, float]:
    x = trial.suggest_float("log2_ratio", 0.5, 3.0)
    y = trial.suggest_float("weight/conv", -2.0, 2.0)
    shape = trial.suggest_categorical("schedule/shape", ["none", "linear"])
    batch = trial.suggest_int("training/batch", 32, 128, step=32)
    return 1.0 - x / 4 - 0.1 * y**2 - 0.05 * (shape == "none") - batch / 1000, x


def _run(storage: Any, name: str, seed: int, trials: int) -> Points:
    """All points of the study after ``trials`` more of them, every one by a process that starts anew."""
    study = optuna.create_study(
        study_name="s", storage=storage, directions=["maximize"] * 2, sampler=sampler(name, seed), load_if_exists=True
    )
    study.optimize(_objective, n_trials=trials)
    assert [t.state.name for t in study.trials] == ["COMPLETE"] * len(study.trials)
    return [t.params for t in study.trials]


@pytest.fixture(params=["memory", "sqlite"])
def storage(request: pytest.FixtureRequest, tmp_path: Any) -> Callable[[], Any]:
    numbers = iter(range(10))

    def fresh() -> Any:
        if request.param == "memory":
            return optuna.storages.InMemoryStorage()
        return open_storage(f"sqlite:///{tmp_path}/{next(numbers)}.db")

    return fresh


def check(name: str, storage: Callable[[], Any], trials: int = 15) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error", optuna.exceptions.ExperimentalWarning)
        warnings.simplefilter("error", UserWarning)
        warnings.simplefilter("error", FutureWarning)
        whole = _run(storage(), name, 7, trials)
        drawn = whole[:POPULATION]  # a child of the genetic samplers may be its parent again
        assert len({tuple(p.items()) for p in drawn}) == len(drawn)
        resumed = storage()
        _run(resumed, name, 7, 5)
        # the same points in the same order, though the process that resumes starts with the same seed
        assert _run(resumed, name, 7, 7) == whole[:12]
    assert _run(storage(), name, 8, 2) != whole[:2]


def test_gaussian_processes() -> None:
    check("gp", optuna.storages.InMemoryStorage, trials=12)  # a second per proposal after the tenth trial


@pytest.mark.slow
def test_gaussian_processes_in_15_trials(storage: Callable[[], Any]) -> None:
    check("gp", storage)


@pytest.mark.parametrize("name", [name for name in SAMPLERS if name != "gp"])
def test_two_objectives_in_15_trials(name: str, storage: Callable[[], Any]) -> None:
    check(name, storage)


@pytest.mark.parametrize("name", ["nsga2", "nsga3"])
def test_children_come_after_the_population(name: str) -> None:
    study = optuna.create_study(directions=["maximize"] * 2, sampler=sampler(name, 7, 5))
    study.optimize(_objective, n_trials=12)
    drawn = [t.params["log2_ratio"] for t in study.trials]
    assert len(set(drawn[:5])) == 5
    assert set(drawn[5:]) & set(drawn[:5])


@pytest.mark.parametrize(("name", "inherits"), [("nsga2", True), ("nsga3", True), ("random", False)])
def test_a_search_of_30_trials_has_generations(name: str, inherits: bool) -> None:
    points = _run(optuna.storages.InMemoryStorage(), name, 7, 30)
    for key in ("log2_ratio", "weight/conv"):
        first = {p[key] for p in points[:POPULATION]}
        assert len(first) == POPULATION
        children = [p[key] in first for p in points[POPULATION : 2 * POPULATION]]
        assert any(children) == inherits  # crossover hands a parent's number on; drawn anew it never repeats
        assert sum(children) >= inherits * POPULATION / 3


def test_workers_with_one_seed_propose_different_points(storage: Callable[[], Any]) -> None:
    shared = storage()
    make = {"study_name": "s", "storage": shared, "directions": ["maximize"] * 2, "load_if_exists": True}
    one, two = (optuna.create_study(**make, sampler=sampler("random", 0)) for _ in range(2))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a heartbeat is for optimize(), not for ask()
        first, second = one.ask(), two.ask()
    assert first.suggest_float("x", 0, 1) != second.suggest_float("x", 0, 1)


def test_an_unknown_name_is_told() -> None:
    with pytest.raises(StudyFileError, match=r"search\.sampler = 'nsga' is not available; did you mean 'nsga"):
        sampler("nsga", 0)


@pytest.mark.parametrize("stopped", [0, 12])
def test_the_share_of_good_trials_does_not_count_stopped_ones(stopped: int, monkeypatch: pytest.MonkeyPatch) -> None:
    from optuna.samplers._tpe import sampler as tpe

    study = optuna.create_study(directions=["maximize"] * 2, sampler=sampler("random", 7))
    study.optimize(_objective, n_trials=20)
    for trial in study.get_trials()[:stopped]:
        cut = {"params": trial.params, "distributions": trial.distributions}
        study.add_trial(optuna.trial.create_trial(state=optuna.trial.TrialState.PRUNED, **cut))
    split, below = tpe._split_trials, []

    def watched(*arguments: Any) -> Any:
        below.append(len(split(*arguments)[0]))
        return split(*arguments)

    monkeypatch.setattr(tpe, "_split_trials", watched)
    study.sampler = sampler("tpe", 7)
    with warnings.catch_warnings():
        warnings.simplefilter("error", FutureWarning)
        study.optimize(_objective, n_trials=1)
    assert set(below) == {2}  # a tenth of 20; of 32 it would be 4

"""What is proposed follows from the seed and from what was told."""

import optuna
import pytest
from optuna.distributions import BaseDistribution, FloatDistribution, IntDistribution

from ranksearch.study import Proposals, proposals

SPACE: dict[str, BaseDistribution] = {"x": FloatDistribution(-1, 1), "n": IntDistribution(1, 9)}
FIRST = [{"x": 0.5, "n": 3}, {"x": -0.5, "n": 7}]
Told = list[tuple[dict, tuple[float, float]]]


def run(made: Proposals, number: int) -> Told:
    told = []
    for _ in range(number):
        values = made.ask()
        objectives = (-abs(values["x"]), float(values["n"]))
        made.tell(objectives)
        told.append((values, objectives))
    return told


def fresh(seed: int = 0) -> Proposals:
    return Proposals(SPACE, seed=seed, first=FIRST)


def test_the_first_come_first_and_all_lie_in_the_space() -> None:
    told = [values for values, _ in run(fresh(), 20)]
    assert told[:2] == FIRST
    assert all(SPACE[name]._contains(values[name]) for values in told for name in SPACE)
    assert len({values["x"] for values in told}) == 20


def test_it_is_deterministic_under_a_seed() -> None:
    assert run(fresh(), 16) == run(fresh(), 16)
    assert run(fresh(), 16)[2:] != run(fresh(1), 16)[2:]


@pytest.mark.parametrize("stopped", [1, 2, 13])
def test_an_interrupted_run_goes_on_as_if_nothing_had_been(stopped: int) -> None:
    whole, again = run(fresh(), 16), fresh()
    for values, objectives in whole[:stopped]:
        again.replay(values, objectives)
    assert run(again, 16 - stopped) == whole[stopped:]


def test_a_proposal_that_was_not_told_is_made_again() -> None:
    asked = fresh()
    run(asked, 12)
    again = fresh()
    for values, objectives in run(fresh(), 12):
        again.replay(values, objectives)
    assert asked.ask() == again.ask()


def test_many_candidates_evolve_from_the_best_before(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(proposals, "MANY", 30)
    monkeypatch.setattr(proposals, "POPULATION", 6)
    made = fresh()
    run(made, 60)
    generations = [
        trial.system_attrs.get(optuna.samplers.NSGAIISampler._get_generation_key())
        for trial in made._study.get_trials(deepcopy=False)
    ]
    assert generations[:30] == [0] * 30
    assert generations[30] == 1
    assert max(g for g in generations if g is not None) >= 4
    late = [abs(t.params["x"]) for t in made._study.get_trials(deepcopy=False)[40:]]
    assert sum(late) / len(late) < 0.3  # uniform draws have a half


def test_what_evolves_is_of_plain_floats(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(proposals, "MANY", 10)
    made = Proposals(dict.fromkeys("xy", FloatDistribution(-1, 1)), seed=0, first=[{"x": 1.0, "y": 1.0}])
    for _ in range(100):
        values = made.ask()
        assert {type(value) for value in values.values()} == {float}
        made.tell((values["x"], values["y"]))

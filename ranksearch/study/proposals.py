"""Proposes thousands of candidates, one after another: Optuna's samplers on a study in memory, replayed on resuming."""

import warnings
from collections.abc import Sequence

import optuna
from optuna.distributions import BaseDistribution
from optuna.exceptions import ExperimentalWarning
from optuna.samplers import BaseSampler, NSGAIISampler, TPESampler
from optuna.study import StudyDirection
from optuna.trial import TrialState

from ..records import trial_seed
from .variables import Values

MANY = 1500  # candidates from which on NSGA-II proposes: one more by TPE takes 0.08 s there (38 floats), 0.2 s at 4,000
POPULATION = 50  # of NSGA-II; the first are the best of all candidates before


class Proposals:
    """Values of a fixed set of variables for two maximised objectives.

    ``first`` are proposed before anything is sampled. What is proposed depends on the seed and on what was told, not
    on how often the work was interrupted (beyond :data:`MANY` candidates the population starts anew on resuming).

    >>> from optuna.distributions import FloatDistribution
    >>> proposals = Proposals({"x": FloatDistribution(0, 1)}, seed=0, first=[{"x": 0.25}])
    >>> proposals.ask()
    {'x': 0.25}
    >>> proposals.tell((-1.0, 2.0))
    >>> 0 <= proposals.ask()["x"] <= 1
    True
    """

    def __init__(self, space: dict[str, BaseDistribution], *, seed: int, first: Sequence[Values] = ()) -> None:
        self.space, self.seed, self.first = space, seed, first
        self.number = 0  # of candidates told
        self._study = _in_memory()
        self._asked: optuna.Trial | None = None
        self._evolves = False

    def replay(self, values: Values, objectives: tuple[float, float]) -> None:
        """Counts a candidate that an earlier session measured."""
        told = optuna.trial.create_trial(params=values, distributions=self.space, values=list(objectives))
        self._study.add_trial(told)
        self.number += 1

    def ask(self) -> Values:
        """The next candidate's values."""
        if self.number >= MANY and not self._evolves:
            self._evolve()
        if self.number < len(self.first):
            self._study.enqueue_trial(self.first[self.number])
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ExperimentalWarning)
            self._study.sampler = self._sampler()
            self._asked = self._study.ask(self.space)
        # at an upper bound NSGA-II's are NumPy's, which no JSON takes
        return {name: float(v) if isinstance(v, float) else v for name, v in self._asked.params.items()}

    def tell(self, objectives: tuple[float, float]) -> None:
        """What the candidate asked for last reached."""
        assert self._asked is not None, "ask first"
        self._study.tell(self._asked, objectives)
        self.number += 1

    def _sampler(self) -> BaseSampler:
        """A fresh one per candidate, its generator from the seed and the candidate's number."""
        seed = trial_seed(self.seed, f"candidate {self.number}")
        if self.number < MANY:
            return TPESampler(multivariate=True, seed=seed)
        return NSGAIISampler(population_size=POPULATION, seed=seed)

    def _evolve(self) -> None:
        """Makes every candidate so far one of the generation that NSGA-II takes its first parents from."""
        first = {NSGAIISampler._get_generation_key(): 0}
        told = [
            optuna.trial.create_trial(params=t.params, distributions=self.space, values=t.values, system_attrs=first)
            for t in self._study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
        ]
        self._study, self._evolves = _in_memory(), True
        self._study.add_trials(told)


def _in_memory() -> optuna.Study:
    return optuna.create_study(directions=[StudyDirection.MAXIMIZE] * 2)

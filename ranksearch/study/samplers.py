"""Who proposes the next trial: Optuna's samplers, with random numbers from the study's seed and the trial's number."""

import math
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import optuna
from optuna.distributions import BaseDistribution
from optuna.exceptions import ExperimentalWarning
from optuna.samplers import (
    BaseSampler,
    GPSampler,
    NSGAIIISampler,
    NSGAIISampler,
    QMCSampler,
    RandomSampler,
    TPESampler,
)
from optuna.trial import FrozenTrial, TrialState

from ..errors import StudyFileError, nearest
from ..records import trial_seed

#: Individuals of a generation. Optuna's 50 would leave a search of 30 trials random from end to end; 12 hold the six
#: seeds of the closed form and as many random points, and their children follow from the 13th trial on.
POPULATION = 12


@dataclass(frozen=True)
class Moment:
    """What a trial's sampler is made from: the study's seed and the trial's, how many trials were stopped early so
    far, and the individuals of a generation."""

    study_seed: int
    trial_seed: int
    stopped: int
    population: int


def _tpe(seed: int, stopped: int) -> TPESampler:
    """TPE; where trials were stopped, its share of good trials is that of the others, a tenth of them by default.

    Optuna takes a tenth of all. Stopped ones, never good themselves, would stretch the good ones down the front.
    """
    gamma = (lambda n: math.ceil(0.1 * (n - stopped))) if stopped else None
    return TPESampler(multivariate=True, constant_liar=True, seed=seed, gamma=gamma)


#: name → a trial's sampler. Only the quasi-random sequence must be one for all trials.
SAMPLERS: dict[str, Callable[[Moment], BaseSampler]] = {
    "tpe": lambda at: _tpe(at.trial_seed, at.stopped),
    "nsga2": lambda at: NSGAIISampler(population_size=at.population, seed=at.trial_seed),
    "nsga3": lambda at: NSGAIIISampler(population_size=at.population, seed=at.trial_seed),
    "gp": lambda at: GPSampler(seed=at.trial_seed),
    "random": lambda at: RandomSampler(seed=at.trial_seed),
    "qmc": lambda at: QMCSampler(
        scramble=True,
        seed=at.study_seed,
        independent_sampler=RandomSampler(seed=at.trial_seed),
        warn_independent_sampling=False,
    ),
}


def sampler(name: str, seed: int, population: int = POPULATION) -> BaseSampler:
    """The sampler of that name.

    Args:
        seed: of the study.
        population: individuals of a generation, ≥ 2, of those samplers that have generations.

    Raises:
        StudyFileError: unknown name.
    """
    if name not in SAMPLERS:
        raise StudyFileError(f"search.sampler = {name!r} is not available{nearest(name, list(SAMPLERS))}")
    return SeededByTrial(name, seed, population)


class SeededByTrial(BaseSampler):
    """A fresh sampler per trial: what a resumed study, or another worker, proposes depends on the trial alone.

    One generator for the whole process would start again on resuming and repeat its points, and
    workers with equal seeds would propose the same.
    """

    def __init__(self, name: str, seed: int, population: int) -> None:
        self.name, self.seed, self.population = name, seed, population
        self._inner: BaseSampler | None = None

    def __str__(self) -> str:
        return f"{self.name}, seed {self.seed}"

    def _fresh(self, study: optuna.Study, trial: FrozenTrial) -> BaseSampler:
        stopped = len(study.get_trials(deepcopy=False, states=(TrialState.PRUNED,)))
        own = trial_seed(self.seed, f"trial {trial.number}")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ExperimentalWarning)
            warnings.simplefilter("ignore", FutureWarning)  # TPE's gamma is to go in Optuna 6
            return SAMPLERS[self.name](Moment(self.seed, own, stopped, self.population))

    def before_trial(self, study: optuna.Study, trial: FrozenTrial) -> None:
        self._inner = self._fresh(study, trial)
        self._inner.before_trial(study, trial)

    def infer_relative_search_space(self, study: optuna.Study, trial: FrozenTrial) -> dict[str, BaseDistribution]:
        return self._current(study, trial).infer_relative_search_space(study, trial)

    def sample_relative(
        self, study: optuna.Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        return self._current(study, trial).sample_relative(study, trial, search_space)

    def sample_independent(
        self, study: optuna.Study, trial: FrozenTrial, param_name: str, param_distribution: BaseDistribution
    ) -> Any:
        return self._current(study, trial).sample_independent(study, trial, param_name, param_distribution)

    def after_trial(
        self, study: optuna.Study, trial: FrozenTrial, state: TrialState, values: Sequence[float] | None
    ) -> None:
        self._current(study, trial).after_trial(study, trial, state, values)

    def _current(self, study: optuna.Study, trial: FrozenTrial) -> BaseSampler:
        return self._inner or self._fresh(study, trial)

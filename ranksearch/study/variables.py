"""What a sampler varies, and how its values become ranks, a decay schedule and a training recipe."""

import json
import math
from collections.abc import Callable, Iterable, Mapping
from itertools import chain, pairwise
from typing import Any

import optuna
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
    distribution_to_json,
)

from ..errors import RankError
from ..layers import LayerSpec, NetworkSpec, RankConfiguration, full_ranks, project
from ..layers.configuration import as_tuple
from ..records import DecaySchedule, Recipe
from .file import StudyFile
from .ranges import Range, Setting, WholeRange, default, is_searched

Values = dict[str, Any]
Allocate = Callable[[float, Mapping[str, float], Mapping[str, float]], RankConfiguration]

MOST_LAYERS = 20  # above: one weight per stage, no tilts; more variables than that learn too slowly
# Wider bounds hold mostly bad networks. ResNet-20 at 3× untrained, ten draws each: weights ±2 and tilts ±1 reach 29 %
# on average and 46 % at best, ±1 and ±0.5 reach 61 % and 70 %, where the closed form itself stands at 68 %.
LOG_WEIGHT = 1.0  # a layer's distortion counts from 1/e to e times its own
TILT = 0.5  # log of how much dearer one mode may be than it is


class Variables:
    """The search space of a study. Every trial suggests every variable, with bounds that never change:
    one variable missing in one trial turns multivariate TPE into independent sampling for good.

    Space ``"allocated"``: ``log2_ratio``, ``weight/…`` per layer or stage, ``tilt/LAYER`` per Tucker-2 layer;
    ``"direct"``: ``MODE/LAYER``, an integer each. In both: ``schedule/…`` and ``training/…`` as far as searched.

    Args:
        allocate: ranks from (compression ratio, log-weight by layer, tilt by layer).
        train: images of the training split; gives a trial's length where the study file says ``epochs``.
    """

    def __init__(self, study: StudyFile, network: NetworkSpec, allocate: Allocate, train: int = 0) -> None:
        self.study, self.network, self.allocate, self.train = study, network, allocate, train

    @property
    def stages(self) -> dict[str, tuple[str, ...]]:
        """Layers that share a log-weight, by the name of the weight's variable.

        Each layer by itself, or above :data:`MOST_LAYERS` consecutive layers of equal output channels; where those
        are still more (bottlenecks, transformers), so many of neighbours.
        """
        groups: list[list[LayerSpec]] = []
        for spec in self.network.layers:
            same = groups and groups[-1][-1].channels_out == spec.channels_out
            if same and len(self.network.layers) > MOST_LAYERS:
                groups[-1].append(spec)
            else:
                groups.append([spec])
        if len(groups) > MOST_LAYERS:
            cuts = [round(place * len(groups) / MOST_LAYERS) for place in range(MOST_LAYERS + 1)]
            groups = [list(chain(*groups[start:end])) for start, end in pairwise(cuts)]
        ends = [(group[0].name, group[-1].name) for group in groups]
        names = [first if first == last else f"{first}..{last}" for first, last in ends]
        return {f"weight/{name}": tuple(spec.name for spec in group) for name, group in zip(names, groups, strict=True)}

    @property
    def tilted(self) -> tuple[str, ...]:
        """Layers with a tilt between their two modes."""
        if len(self.network.layers) > MOST_LAYERS:
            return ()
        return tuple(spec.name for spec in self.network.layers if spec.format == "tucker2")

    @property
    def _settings(self) -> dict[str, Setting]:
        return _settings(self.study)

    def space(self) -> dict[str, BaseDistribution]:
        """Distribution by variable, always in the same order."""
        return self.rank_space() | {name: _distribution(s) for name, s in self._settings.items() if is_searched(s)}

    def rank_space(self) -> dict[str, BaseDistribution]:
        """The part of :meth:`space` that decides on ranks; the rest is how they are trained."""
        space: dict[str, BaseDistribution] = {}
        if self.study.ranks.space == "allocated":
            low, high = self.study.ranks.ratio
            space["log2_ratio"] = FloatDistribution(math.log2(low), math.log2(high))
            space |= dict.fromkeys(self.stages, FloatDistribution(-LOG_WEIGHT, LOG_WEIGHT))
            space |= {f"tilt/{name}": FloatDistribution(-TILT, TILT) for name in self.tilted}
        else:
            for spec in self.network.layers:
                for mode, full in zip(spec.modes, full_ranks(spec), strict=True):
                    space[f"{mode}/{spec.name}"] = IntDistribution(1, full)
        return space

    def described(self) -> dict[str, Any]:
        """The space as plain values, for the fingerprint."""
        return {name: json.loads(distribution_to_json(d)) for name, d in self.space().items()}

    def suggest(self, trial: optuna.Trial) -> Values:
        """Asks ``trial`` for every variable."""
        return {name: _suggest(trial, name, distribution) for name, distribution in self.space().items()}

    def decode(self, values: Mapping[str, Any]) -> tuple[RankConfiguration, DecaySchedule, Recipe]:
        """What a trial with these values is to do; the schedule in its canonical spelling."""
        return self.decode_ranks(values), *training_of(self.study, self.train, values)

    def decode_ranks(self, values: Mapping[str, Any]) -> RankConfiguration:
        """The ranks that these values of :meth:`rank_space` lead to; other values do not matter."""
        if self.study.ranks.space == "allocated":
            weights = {name: values[variable] for variable, names in self.stages.items() for name in names}
            mean = sum(weights.values()) / max(1, len(weights))  # a common factor of all weights changes nothing
            centred = {name: weight - mean for name, weight in weights.items()}
            tilts = {name: values[f"tilt/{name}"] for name in self.tilted}
            return self.allocate(2.0 ** values["log2_ratio"], centred, tilts)
        form, multiple_of = self.study.ranks.form, self.study.ranks.multiple_of
        ranks = {s.name: tuple(values[f"{mode}/{s.name}"] for mode in s.modes) for s in self.network.layers}
        return RankConfiguration(
            {spec.name: project(spec, ranks[spec.name], form, multiple_of) for spec in self.network.layers}
        )

    def default_training(self) -> tuple[DecaySchedule, Recipe]:
        """How configurations are trained that no sampler proposed: baselines, closed form."""
        return training_of(self.study, self.train)

    def default_values(self, ratio: float) -> Values:
        """A whole set of values: the closed-form allocation at ``ratio``, hyper-parameters at their defaults."""
        if self.study.ranks.space == "direct":
            return self.encode(self.allocate(ratio, {}, {}), {})
        low, high = self.study.ranks.ratio
        values: Values = {"log2_ratio": math.log2(min(high, max(low, ratio)))}
        values |= {name: 0.0 for name in self.space() if name.startswith(("weight/", "tilt/"))}
        return values | self._hyper({})

    def rank_values(self, ratio: float) -> Values:
        """:meth:`default_values` of the rank variables alone."""
        values = self.default_values(ratio)
        return {name: values[name] for name in self.rank_space()}

    def with_default_training(self, values: Values) -> Values:
        """Values of the rank variables, and hyper-parameters at their defaults."""
        return values | self._hyper({})

    def seeds(self, ratios: Iterable[float]) -> list[Values]:
        """Values to enqueue before anything is sampled: the closed-form front at ``ratios``."""
        return [self.default_values(ratio) for ratio in ratios]

    def encode(self, configuration: RankConfiguration, values: Mapping[str, Any]) -> Values:
        """The values that decode into ``configuration``; only in the space ``"direct"``.

        Args:
            values: of hyper-parameters; the others take their defaults.

        Raises:
            RankError: the space is not ``"direct"``: few configurations have weights and tilts that lead to them.
        """
        if self.study.ranks.space != "direct":
            raise RankError('only ranks.space = "direct" can express any configuration')
        encoded: Values = {}
        for spec in self.network.layers:
            ranks = as_tuple(configuration[spec.name]) or full_ranks(spec)
            encoded |= {f"{mode}/{spec.name}": rank for mode, rank in zip(spec.modes, ranks, strict=True)}
        return encoded | self._hyper(values)

    def _hyper(self, values: Mapping[str, Any]) -> Values:
        return {n: values.get(n, default(s)) for n, s in self._settings.items() if is_searched(s)}


def training_of(study: StudyFile, train: int, values: Mapping[str, Any] | None = None) -> tuple[DecaySchedule, Recipe]:
    """Schedule, in its canonical spelling, and recipe of a trial.

    Args:
        train: images of the training split; gives the length where the study file says ``epochs``.
        values: of variables, by name; what they leave out is at its default.
    """
    chosen: dict[str, dict[str, Any]] = {"schedule": {}, "training": {}}
    for name, setting in _settings(study).items():
        section, key = name.split("/")
        chosen[section][key] = (values or {}).get(name, default(setting))
    images = study.training.length(train)
    return DecaySchedule(**chosen["schedule"]).canonical(), Recipe(images=images, **chosen["training"])


def _settings(study: StudyFile) -> dict[str, Setting]:
    """Hyper-parameters of the study file by the name of their variable."""
    found = {f"schedule/{key}": setting for key, setting in study.schedule.settings.items()}
    return found | {f"training/{key}": setting for key, setting in study.training.settings.items()}


def _distribution(setting: Setting) -> BaseDistribution:
    if isinstance(setting, tuple):
        return CategoricalDistribution(setting)
    if isinstance(setting, WholeRange):
        return IntDistribution(setting.low, setting.high, log=setting.log, step=setting.step or 1)
    assert isinstance(setting, Range)
    return FloatDistribution(setting.low, setting.high, log=setting.log, step=setting.step)


def _suggest(trial: optuna.Trial, name: str, distribution: BaseDistribution) -> Any:
    """``trial.suggest_…`` by the kind of distribution."""
    if isinstance(distribution, FloatDistribution):
        d = distribution
        return trial.suggest_float(name, d.low, d.high, log=d.log, step=d.step)
    if isinstance(distribution, IntDistribution):
        return trial.suggest_int(
            name, distribution.low, distribution.high, log=distribution.log, step=distribution.step
        )
    assert isinstance(distribution, CategoricalDistribution)
    return trial.suggest_categorical(name, distribution.choices)

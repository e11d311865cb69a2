"""The sections of a study file on what is searched and trained: what each key means, its default and its law."""

import re
from functools import partial
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from ..errors import StudyFileError
from ..layers import Basis, Flattened
from ..pareto import Box
from ..records import DecaySchedule, PublishedPoint, Recipe
from .ranges import Integers, Numbers, Setting, Words, require
from .samplers import POPULATION

Ratio = Literal["mac_ratio", "latency_ratio"]
Baseline = Literal[
    "uniform", "energy", "evbmf", "evbmf-weakened",
    "rate-distortion", "rate-distortion:relative", "rate-distortion:log", "rate-distortion:weighted-log",
    "rate-distortion:absolute",
]  # fmt: skip
Count = Annotated[int, Meta(ge=1)]
Positive = Annotated[float, Meta(gt=0)]
Fraction = Annotated[float, Meta(ge=0, le=1)]
Part = Annotated[float, Meta(ge=0, lt=1)]


def _one(whole: type[DecaySchedule] | type[Recipe], name: str, value: Any) -> None:
    """The law of one key: a whole with that value, everything else at its default, states it."""
    whole(**{name: value})


_SCHEDULE, _RECIPE = DecaySchedule(), Recipe()  # their defaults are the study file's


def starts_at_zero(fade: str, init: str) -> StudyFileError:
    """What is to be said of a full fade from the elastic adapter, by the keys that ask for it."""
    return StudyFileError(
        f'{fade} must be "residual" where {init} is "elastic": an adapter that starts trained cannot start at zero; or '
        f'set {init} = "decomposition"'
    )


class RanksSection(msgspec.Struct, frozen=True, kw_only=True):
    """``[ranks]``.

    Attributes:
        space: ``"allocated"`` (ratio, weight and tilt per layer, ranks follow) or ``"direct"`` (an integer per mode).
        ratio: lowest and highest compression ratio of the study's box; bounds what is proposed.
        accuracy_floor: lower edge of the box, a fraction below the dense accuracy.
        basis: what an error is measured by: ``"weights"``, the kernel alone; ``"activations"``, the layer's output on
            training images; ``"activations+gradients"``, that weighted by the loss's gradients.
        form: whose parameters are counted and exported.
        include, exclude: globs over layer names.
        flattened: a linear layer right after a flatten is compressed as a matrix, ``"linear"``, or as a ``"kernel"``
            (C_out, C, H, W), with a rank for its channels.
        multiple_of: ranks become multiples of it, for hardware.
        distortion: what an allocation sums over the layers, by name (:data:`ranksearch.allocation.DISTORTIONS`).
    """

    space: Literal["allocated", "direct"] = "allocated"
    ratio: tuple[float, float] = (1.5, 8.0)
    accuracy_floor: float = 0.0
    basis: Basis = "activations+gradients"
    form: Literal["plain", "pivoted"] = "pivoted"
    include: tuple[str, ...] = ("*",)
    exclude: tuple[str, ...] = ()
    flattened: Flattened = "linear"
    multiple_of: Count = 1
    distortion: Literal["relative", "log", "weighted-log", "absolute"] = "weighted-log"

    def __post_init__(self) -> None:
        self.box  # noqa: B018 – the box states its own law

    @property
    def box(self) -> Box:
        return Box(self.accuracy_floor, *self.ratio)


class ScheduleSection(msgspec.Struct, frozen=True, kw_only=True):
    """``[schedule]``: each key of :class:`DecaySchedule` as a value, a list or a range."""

    shape: Words = _SCHEDULE.shape
    fade: Words = _SCHEDULE.fade
    end: Numbers = _SCHEDULE.end
    order: Words = _SCHEDULE.order

    def __post_init__(self) -> None:
        for name, setting in self.settings.items():
            require(f"schedule.{name}", setting, partial(_one, DecaySchedule, name))

    @property
    def settings(self) -> dict[str, Setting]:
        """Setting by field of :class:`DecaySchedule`."""
        return msgspec.structs.asdict(self)


class TrainingSection(msgspec.Struct, frozen=True, kw_only=True):
    """``[training]``: the length of a trial, and each key of :class:`Recipe` as a value, a list or a range.

    Attributes:
        images: training images of one trial; or ``epochs``, passes over the training split.
        init: where the adapter starts: ``"decomposition"``, ``"hooi"`` or ``"elastic"``, see :class:`Recipe`; the
            elastic adapter is off where the study is too short for it.
        augment: ``"all"`` of the data's augmentation, its ``"flip"`` or ``"none"``: a trial is too short to profit
            from crops, which a network of few weights learns before it learns to answer.
    """

    images: Count | None = None
    epochs: Positive | None = None
    batch: Integers = _RECIPE.batch
    optimizer: Words = _RECIPE.optimizer
    lr: Numbers = _RECIPE.lr
    momentum: Numbers = _RECIPE.momentum
    weight_decay: Numbers = _RECIPE.weight_decay
    warmup: Numbers = _RECIPE.warmup
    clip: Numbers = _RECIPE.clip
    distillation: Numbers = _RECIPE.distillation
    temperature: Numbers = _RECIPE.temperature
    learn: Words = _RECIPE.learn
    init: Words = "elastic"
    augment: Words = "flip"

    def __post_init__(self) -> None:
        if self.images is None and self.epochs is None:
            msgspec.structs.force_setattr(self, "images", _RECIPE.images)
        if self.images is not None and self.epochs is not None:
            raise StudyFileError(
                f"training.images = {self.images} and training.epochs = {self.epochs}: give one of them"
            )
        for name, setting in self.settings.items():
            require(f"training.{name}", setting, partial(_one, Recipe, name))

    @property
    def settings(self) -> dict[str, Setting]:
        """Setting by field of :class:`Recipe`, the length apart."""
        return {k: v for k, v in msgspec.structs.asdict(self).items() if k not in ("images", "epochs")}

    def length(self, train: int) -> int:
        """Images of one trial, where the training split has ``train``."""
        return self.images if self.images is not None else max(1, round((self.epochs or 1) * train))


class SearchSection(msgspec.Struct, frozen=True, kw_only=True):
    """``[search]``: until ``trials`` are finished or ``minutes`` are over, counted anew by each command, without what
    ``--confirm`` takes; both may be changed on resuming.

    Attributes:
        population: individuals of a generation of nsga2 and nsga3.
        closed_form: how many of the first trials are allocations in closed form, equally spaced in log2 of the ratio.
        objectives: accuracy and compression_ratio, and what else is to be maximised beside them: how many times
            fewer multiply-accumulates, how many times faster by measurement (``[latency]`` says how).
        floors: what a network must reach in a ratio to be on the front, whether that is an objective or not.
        stop: the rule by which a hopeless trial is ended early, by name (:data:`~.stopping.STOPPING`).
        artifacts: where the study's machines share bases, adapter and networks: a folder or ``"s3://BUCKET/PREFIX"``;
            ``NAME.networks`` beside the storage's file, or the study file, unless given.
    """

    trials: Count = 100
    minutes: Positive | None = None
    sampler: Literal["tpe", "nsga2", "nsga3", "gp", "random", "qmc"] = "tpe"
    population: Annotated[int, Meta(ge=2)] = POPULATION
    closed_form: Annotated[int, Meta(ge=0)] = 6
    stop: Literal["none", "neighbours", "domination"] = "none"
    seed: Annotated[int, Meta(ge=0)] = 0
    objectives: tuple[Literal["accuracy", "compression_ratio"] | Ratio, ...] = ("accuracy", "compression_ratio")
    floors: dict[Ratio, Positive] = {}
    baselines: tuple[Baseline, ...] = ("uniform", "energy", "evbmf")
    storage: str = "sqlite"
    artifacts: str | None = None
    workers: Count = 1
    device: str | None = None

    def __post_init__(self) -> None:
        if self.objectives[:2] != ("accuracy", "compression_ratio") or len(set(self.objectives)) < len(self.objectives):
            raise StudyFileError(
                f"search.objectives = {list(self.objectives)} must begin with accuracy, compression_ratio; "
                "mac_ratio and latency_ratio may follow"
            )

    @property
    def compares_latency(self) -> bool:
        """Whether every trial's network is timed."""
        return "latency_ratio" in (*self.objectives, *self.floors)


class LatencySection(msgspec.Struct, frozen=True, kw_only=True):
    """``[latency]``: how a trial's network is timed, in turn with the dense one, where the search asks for that.

    Attributes:
        batch: images of one forward pass.
        threads: of the processor, whatever the training uses.
        rounds: passes that are timed, of each network.
    """

    batch: Count = 1
    threads: Count = 1
    rounds: Annotated[int, Meta(ge=2)] = 30


class FinetuneSection(msgspec.Struct, frozen=True, kw_only=True):
    """``[finetune]``: ``epochs`` over train + search with each of ``seeds`` seeds, by the data's whole augmentation
    unless ``augment`` says otherwise; what else is given replaces what the chosen trial had."""

    epochs: Count = 30
    seeds: Count = 3
    batch: int | None = None
    optimizer: str | None = None
    lr: float | None = None
    momentum: float | None = None
    weight_decay: float | None = None
    warmup: float | None = None
    clip: float | None = None
    distillation: float | None = None
    temperature: float | None = None
    learn: str | None = None
    init: str | None = None
    augment: str = "all"
    shape: str | None = None
    fade: str | None = None
    end: float | None = None
    order: str | None = None

    def __post_init__(self) -> None:
        try:
            Recipe(**self._given(Recipe))
            DecaySchedule(**self._given(DecaySchedule))
        except StudyFileError as error:
            raise StudyFileError(re.sub(r"^(training|schedule)\.", "finetune.", str(error))) from None
        if self.fade == "full" and self.init == "elastic":
            raise starts_at_zero("finetune.fade", "finetune.init")

    @property
    def changes(self) -> dict[str, Any]:
        """Entries of :class:`Recipe` and :class:`DecaySchedule` that replace the chosen trial's."""
        return self._given(Recipe) | self._given(DecaySchedule)

    def _given(self, of: type[Recipe] | type[DecaySchedule]) -> dict[str, Any]:
        return {name: value for name in of.__struct_fields__ if (value := getattr(self, name, None)) is not None}


class ReportSection(msgspec.Struct, frozen=True, kw_only=True):
    """``[report]``: nothing that is measured depends on it.

    Attributes:
        published: results of others, drawn beside the study's own.
    """

    published: tuple[PublishedPoint, ...] = ()

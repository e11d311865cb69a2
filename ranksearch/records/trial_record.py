"""What is known of one trial: its configuration, how it was trained, what was measured, what it cost."""

import hashlib
import math
from collections.abc import Iterable, Mapping

import msgspec

from ..errors import NonFiniteError
from ..layers import Form, NetworkCost, RankConfiguration
from .latency import LatencyComparison
from .recipe import Recipe
from .schedule import DecaySchedule

DENSE_CONTROL = "dense control"  # origin of the dense network that is trained as long as a compressed one

#: settings that came later and what all trials did before: keys of those trials stay what they were
ADDED = {"init": "decomposition", "augment": "all"}


class Milestone(msgspec.Struct, frozen=True):
    """One look during training: images seen, largest λ over the layers, mean training loss since the last look,
    and the accuracy of the collapsed network on the search split where it was taken (λ = 0)."""

    images: int
    decay: float
    loss: float
    accuracy: float | None = None


class Measurement(msgspec.Struct, frozen=True):
    """A network measured on a split.

    Attributes:
        accuracy: top-1 as a fraction in [0, 1], or the user's own metric.
        distance: mean KL divergence from the dense network's outputs (nats), ≥ 0; mean squared output
            error where the loss is the user's own; none where the outputs were not finite, or nobody looked.
        split: ``"search"`` or ``"test"``.
        images: size of the split.

    Raises:
        NonFiniteError: infinity or NaN, which JSON cannot hold.
    """

    accuracy: float
    distance: float | None
    split: str
    images: int

    def __post_init__(self) -> None:
        for key, value in (("accuracy", self.accuracy), ("distance", self.distance)):
            if value is not None and not math.isfinite(value):
                raise NonFiniteError(f"the {key} on the {self.split} split is {value}, not a finite number")


class TrainingCost(msgspec.Struct, frozen=True, kw_only=True):
    """Where a trial's effort went: images and seconds, by stage; trainable parameters; peak memory in MiB."""

    images: int
    seconds: float
    decomposition_seconds: float = 0.0
    training_seconds: float = 0.0
    measuring_seconds: float = 0.0
    seconds_per_step: float = 0.0
    trainable_params: int = 0
    peak_memory: float = 0.0


class Machine(msgspec.Struct, frozen=True, kw_only=True):
    """What a measurement was made on."""

    device: str
    processor: str
    threads: int
    precision: str
    versions: dict[str, str]


class TrialRecord(msgspec.Struct, frozen=True, kw_only=True):
    """One finished trial, of the search, its baselines, its confirmations or its finalists.

    Attributes:
        origin: who proposed the configuration: ``"sampler"``, ``"closed form"``, ``"baseline uniform@4"``,
            ``"trial 7"`` of a confirmation, ``"finalist"``, :data:`DENSE_CONTROL`.
        plain, pivoted: cost by either count; ``form`` says which one the study counts.
        measured: on the split named inside; the exported network is the measured one.
        failure: empty, or why the configuration counts as useless (a non-finite loss): accuracy is 0 then.
        stopped: empty, or why it was ended before its time: what was measured is its last milestone then.
        latency: of the measured network beside the dense one, where the study compares latencies.
        stages: what the cheap stages of the search said of the same ranks, by :data:`CheapStage`.
        copy_of: number of the trial that measured the same configuration, whose values were copied.
    """

    configuration: RankConfiguration
    schedule: DecaySchedule
    recipe: Recipe
    form: Form
    plain: NetworkCost
    pivoted: NetworkCost
    measured: Measurement
    milestones: tuple[Milestone, ...] = ()
    cost: TrainingCost
    machine: Machine
    seed: int
    origin: str = "sampler"
    failure: str = ""
    stopped: str = ""
    latency: LatencyComparison | None = None
    stages: dict[str, Measurement] = {}
    copy_of: int | None = None

    @property
    def counted(self) -> NetworkCost:
        """The cost by the count of the study."""
        return self.pivoted if self.form == "pivoted" else self.plain

    def objectives(self, names: Iterable[str]) -> tuple[float, ...]:
        """The trial's point, all maximised; names from ``accuracy``, ``compression_ratio``, ``mac_ratio``,
        ``latency_ratio`` (1 where there was no network to time)."""
        found = {
            "accuracy": self.measured.accuracy,
            "compression_ratio": self.counted.compression_ratio,
            "mac_ratio": self.counted.mac_ratio,
            "latency_ratio": self.latency.ratio if self.latency else 1.0,
        }
        return tuple(found[name] for name in names)

    def meets(self, floors: Mapping[str, float]) -> bool:
        """Whether it lies at or above every floor, given by name of an objective."""
        return all(value >= floor for value, floor in zip(self.objectives(floors), floors.values(), strict=True))

    @property
    def key(self) -> str:
        return trial_key(self.configuration, self.schedule, self.recipe)

    @property
    def run(self) -> str:
        """Names a run: what is measured, and the seed."""
        return run_name(self.key, self.seed)


def trial_key(configuration: RankConfiguration, schedule: DecaySchedule, recipe: Recipe) -> str:
    """Names what a trial measures: equal keys mean the same ranks, schedule and recipe."""
    trained = msgspec.structs.asdict(recipe)
    for name, before in ADDED.items():
        if trained[name] == before:
            del trained[name]
    settings = msgspec.json.encode((schedule.canonical(), trained), order="sorted")
    return hashlib.sha256(configuration.digest.encode() + settings).hexdigest()[:16]


def run_name(key: str, seed: int) -> str:
    """Names one run of what ``key`` names, by its training seed: a plan is known by it as the record that it became."""
    return f"{key}-{seed}"


def trial_seed(study_seed: int, purpose: str) -> int:
    """A seed for one purpose of a study, in [0, 2³¹): the same in every process and on every machine."""
    return int(hashlib.sha256(f"{study_seed}:{purpose}".encode()).hexdigest()[:8], 16) % 2**31

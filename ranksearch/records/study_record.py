"""What is known of a study: the network, the box, the protocol, and all trials read from its storage."""

import math
from datetime import datetime
from typing import Any, Literal

import msgspec

from ..layers import Form, NetworkSpec, RankConfiguration
from ..pareto import Box, non_dominated
from .elastic_record import ElasticRecord
from .published_point import PublishedPoint
from .screened_candidate import ScreenedCandidate
from .trial_record import Machine, Measurement, TrialRecord

State = Literal["complete", "failed", "running", "waiting", "stopped"]
Room = Literal["trials", "baselines", "confirmations", "finalists"]

IMPORTANCE_TRIALS = 20  # trials, below which the importance of a variable is noise


class ClosedFormPoint(msgspec.Struct, frozen=True):
    """A configuration by allocation alone, untrained, batch norm re-estimated."""

    label: str
    configuration: RankConfiguration
    compression_ratio: float
    measured: Measurement


class StudyRecord(msgspec.Struct, frozen=True, kw_only=True):
    """What was fixed when the study was made.

    Attributes:
        id: tells it from a study of the same name in another database, or of another day; its files lie under it.
        settings: the study file as read, every default written out (nested plain values, no secrets).
        fingerprint: digests by what they cover; two studies compare only where all agree.
        dense_outputs: of the dense network on the first search images, flattened: equal weights may compute otherwise.
        dense_loss: the task's loss of them.
        dense: the dense network on the search split.
        ratio, accuracy_floor: the box.
        floors: what a network must reach beside, by objective, to be on the front.
        splits: number of images in ``train``, ``search``, ``test`` (0 where there is none).
        bases: digest of the file of bases and error tables that all its machines work with.
        dense_file: digest of the dense network's, where it was trained for the study.
        protocol: sentences a report must print: where the search split comes from, whether the checkpoint saw it.
        seconds_per_trial: estimated before the first trial.
    """

    name: str
    id: str = ""
    network: NetworkSpec
    form: Form
    objectives: tuple[str, ...]
    dense: Measurement
    ratio: tuple[float, float]
    accuracy_floor: float
    floors: dict[str, float] = {}
    settings: dict[str, Any]
    fingerprint: dict[str, str]
    dense_outputs: tuple[float, ...] = ()
    dense_loss: float | None = None
    bases: str = ""
    dense_file: str = ""
    splits: dict[str, int]
    protocol: tuple[str, ...]
    closed_form: tuple[ClosedFormPoint, ...] = ()
    machine: Machine
    seconds_per_trial: float = 0.0
    method_version: int = 1

    @property
    def box(self) -> Box:
        return Box(self.accuracy_floor, *self.ratio)


class Trial(msgspec.Struct, frozen=True, kw_only=True):
    """A row of a study: number, state, times (UTC) and the record where it finished."""

    number: int
    state: State
    started: datetime | None = None
    finished: datetime | None = None
    record: TrialRecord | None = None
    reason: str = ""


class StudyHistory(msgspec.Struct, frozen=True, kw_only=True):
    """A study and its siblings, as read from the storage in one go.

    Attributes:
        confirmations: points of the front, trained and measured again with further seeds.
        finalists: full-length trainings, measured on the test split.
        elastic: the shared training of the elastic adapter, where it is over.
        screen: candidates of the cheap stages, where they were asked for: there may be thousands.
        importances: of the variables, by objective and for the ``"front"``; none unless asked for, or of too few.
        published: what the study file names to be drawn beside the study.
        budget: finished trials that it was last asked for; 0 unless it was, and is to be shown.
    """

    study: StudyRecord
    trials: tuple[Trial, ...] = ()
    baselines: tuple[Trial, ...] = ()
    confirmations: tuple[Trial, ...] = ()
    finalists: tuple[Trial, ...] = ()
    elastic: ElasticRecord | None = None
    screen: tuple[ScreenedCandidate, ...] = ()
    importances: dict[str, dict[str, float]] = {}
    published: tuple[PublishedPoint, ...] = ()
    budget: int = 0

    def ended(self, room: Room = "trials") -> tuple[Trial, ...]:
        """Trials that finished or were stopped early, with a record of their own, in the order of ending; no copies."""
        rows = [t for t in getattr(self, room) if t.state in ("complete", "stopped")]
        rows = [t for t in rows if t.record and t.record.copy_of is None]
        return tuple(sorted(rows, key=lambda t: (t.finished.timestamp() if t.finished else math.inf, t.number)))

    def finished(self, room: Room = "trials") -> tuple[Trial, ...]:
        """Trials that finished with a record of their own, copies left out, in the order of finishing."""
        return tuple(t for t in self.ended(room) if t.state == "complete")

    @property
    def stage_seconds(self) -> float:
        """What served all trials, before the first: the shared training, and the screen as far as it was read."""
        return (self.elastic.seconds if self.elastic else 0.0) + sum(c.seconds for c in self.screen)

    def eligible(self, room: Room = "trials") -> tuple[Trial, ...]:
        """Finished trials that may be on the front: none that is useless, or below a floor of the study."""
        floors = self.study.floors
        return tuple(t for t in self.finished(room) if t.record and not t.record.failure and t.record.meets(floors))

    def front(self, room: Room = "trials") -> tuple[Trial, ...]:
        """The eligible trials of a room that no other one of them is better than, in all objectives."""
        rows = [(t, t.record.objectives(self.study.objectives)) for t in self.eligible(room) if t.record]
        kept = non_dominated([point for _, point in rows])
        return tuple(t for (t, _), on_front in zip(rows, kept, strict=True) if on_front)

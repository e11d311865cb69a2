"""The books of a study with its trials: their rooms, their queues, its budget, in one storage."""

import math
import warnings
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping
from functools import cached_property
from itertools import islice
from typing import Any

import msgspec
import optuna
from optuna.exceptions import ExperimentalWarning
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState

from ..errors import StudyFileError
from ..records import Room, StudyHistory, StudyRecord, Trial, TrialRecord
from ..records.study_record import State
from . import abandoned
from .at_work import AtWork, at_work
from .counts import Counts
from .one_trial import Stopped
from .planned import Planned, origin_of
from .rows import STATES, rows
from .screen_ledger import ScreenLedger
from .shared_storage import SharedStorage
from .study_books import ROOMS, StudyBooks

QUEUES: tuple[Room, ...] = ("trials", "baselines", "finalists")  # rooms that workers take trials from


class Ledger(StudyBooks):
    """A study in its storage, one Optuna study per room.

    Attributes of a trial: ``worker``, ``record`` (:class:`TrialRecord`), and where they apply ``origin``, ``plan``,
    ``reason`` (why it failed), ``retry_of``.
    """

    def __init__(self, storage: SharedStorage, name: str) -> None:
        super().__init__(storage, name)
        self._known: dict[Room, dict[int, Trial]] = {room: {} for room in ROOMS}  # by number, what is over
        self._measured: dict[Room, dict[str, int]] = {room: {} for room in ROOMS}  # key → number
        self._keyed: dict[Room, int] = dict.fromkeys(ROOMS, 0)  # how many of the known were asked for their key

    @cached_property
    def screen(self) -> ScreenLedger:
        """The books of the screen."""
        return ScreenLedger(self._cached, self.name)

    def create(self, record: StudyRecord, fill: Callable[["Ledger"], None] = lambda ledger: None) -> bool:
        """Makes the study where there is none: writes the record, queues what ``fill`` queues, and sets ``ready``.

        Goes on where an earlier maker died. To be called in a turn (:meth:`once`) where others may make it too.

        Returns:
            Whether this process made it; where not, :attr:`record` is another's.

        Raises:
            StudyFileError: as :meth:`require_free`.
        """
        if self.exists:
            return False
        self.require_free()
        for room in ROOMS:
            study = self._create(room, record)
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", ExperimentalWarning)
                study.set_metric_names(["accuracy" if o == "accuracy" else f"log2 {o}" for o in record.objectives])
        self.study().set_user_attr("record", msgspec.to_builtins(record))
        fill(self)
        self.study().set_user_attr("ready", True)
        return True

    def require_free(self) -> None:
        """Raises :class:`StudyFileError` where the name, of a study that is not made yet, is taken."""
        if "record" not in self._attributes and self._trials("trials"):
            raise StudyFileError(
                f"the storage has an Optuna study {self.name!r} that ranksearch did not make: give this one a new name"
            )
        left = [str(room) for room in ROOMS if room != "trials" and self._trials(room)]
        if left := left + (["the screen"] if self.screen.exists else []):
            raise StudyFileError(
                f"the storage has {' and '.join(left)} of a study {self.name!r} that was deleted, maybe of another "
                "network: give this one a new name, or delete those, too"
            )

    def _create(self, room: Room, record: StudyRecord) -> optuna.Study:
        return optuna.create_study(
            study_name=self.name + ROOMS[room],
            storage=self._cached,
            directions=[StudyDirection.MAXIMIZE] * len(record.objectives),
            load_if_exists=True,
        )

    def enqueue(self, values: Mapping[str, Any], origin: str) -> bool:
        """Queues a trial with these values of all variables; not twice from the same origin."""
        study = self.study()
        for trial in study.get_trials(deepcopy=False):
            if trial.system_attrs.get("fixed_params") == values and trial.user_attrs.get("origin") == origin:
                return False
        study.enqueue_trial(dict(values), user_attrs={"origin": origin})
        return True

    def enqueue_plan(self, room: Room, plan: Planned, origin: str) -> None:
        """Queues a trial without variables; to be called in a turn (:meth:`once`) where others may do the same."""
        self.study(room).enqueue_trial({}, user_attrs={"origin": origin, "plan": msgspec.to_builtins(plan)})

    def plans(self, room: Room, *without: State) -> dict[int, tuple[str, Planned]]:
        """Origin and plan of the trials of a room by their numbers; without those in some states."""
        return {
            t.number: (t.user_attrs["origin"], msgspec.convert(t.user_attrs["plan"], Planned))
            for t in self._trials(room)
            if STATES[t.state] not in without and "plan" in t.user_attrs
        }

    def withdraw(self, room: Room, numbers: Collection[int], reason: str) -> None:
        """Ends those of a room's trials that still wait in its queue."""
        for trial in self._trials(room):
            if trial.number in numbers and trial.state == TrialState.WAITING:
                abandoned.withdraw(self.study(room), trial, reason)

    def add(self, room: Room, record: TrialRecord) -> None:
        """Books a finished run in a room without a queue: confirmations."""
        trial = optuna.trial.create_trial(
            values=list(self.values(record)), user_attrs={"record": msgspec.to_builtins(record)}
        )
        self._create(room, self.record).add_trial(trial)

    def finish(self, trial: optuna.Trial, record: TrialRecord) -> tuple[float, ...]:
        """Writes a trial's record and returns the values that its objective function is to return.

        Raises:
            Stopped: it was; without values, for which the sampler must not take a last milestone.
        """
        trial.set_user_attr("record", msgspec.to_builtins(record))
        floors = self.record.floors
        for name, value in zip(floors, record.objectives(floors), strict=True):
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", ExperimentalWarning)
                trial.set_constraint(name, floors[name] - value)  # met where zero or less
        if record.stopped:
            raise Stopped(record.stopped)
        return self.values(record)

    def copy(self, trial: optuna.Trial, earlier: Trial) -> tuple[float, ...]:
        """Finishes a trial with what ``earlier``, from :meth:`find`, measured for the same configuration."""
        if earlier.record is None:
            raise ValueError(f"trial {earlier.number} has no record to copy")
        copied = msgspec.structs.replace(earlier.record, copy_of=earlier.number, origin=origin_of(trial))
        return self.finish(trial, copied)

    def values(self, record: TrialRecord) -> tuple[float, ...]:
        """The study's objectives, all maximised: accuracy, and the ratios as log2."""
        accuracy, *ratios = record.objectives(self.record.objectives)
        return (accuracy, *map(math.log2, ratios))

    def find(self, key: str, room: Room = "trials") -> Trial | None:
        """The trial of a room that measured this :func:`ranksearch.records.trial_key`, if one did; of the finalists,
        this :attr:`TrialRecord.run`."""
        known, measured = self._known[room], self._measured[room]
        rows(self._trials(room), known)
        for trial in islice(known.values(), self._keyed[room], None):  # a key takes its time: once per trial
            record = trial.record
            if trial.state == "complete" and record and record.copy_of is None:
                measured.setdefault(record.run if room == "finalists" else record.key, trial.number)
        self._keyed[room] = len(known)
        return known.get(measured.get(key, -1))

    def counts(self, room: Room = "trials") -> Counts:
        """Trials by state, now."""
        return Counts.of(self._trials(room))

    def at_work(self) -> list[AtWork]:
        """The running trials of the rooms that have a queue, with their workers."""
        return [one for room in QUEUES for one in at_work(self.storage, self.study(room), room)]

    def queued(self) -> list[Mapping[str, Any]]:
        """The values of all variables of the search's trials that were queued rather than proposed by its sampler."""
        trials = self._trials("trials")
        return [t.system_attrs["fixed_params"] for t in trials if "fixed_params" in t.system_attrs]

    def unsampled(self) -> Counter[str]:
        """How many trials of the search were queued rather than proposed by its sampler, by their origin; those that
        failed left out."""
        trials = [t for t in self._trials("trials") if t.state != TrialState.FAIL]
        return Counter(t.user_attrs["origin"] for t in trials if t.user_attrs.get("origin", "sampler") != "sampler")

    def _trials(self, room: Room) -> list[FrozenTrial]:
        try:
            return self.study(room).get_trials(deepcopy=False)
        except KeyError:  # the study is older than the room
            return []

    def history(self, *, rooms: Iterable[Room] = tuple(ROOMS), screen: bool = False) -> StudyHistory:
        """Everything that is known of the study, read once.

        Args:
            rooms: others are left empty.
            screen: also the candidates of the screen; reading thousands takes seconds.
        """
        record = self.record  # first: it tells where there is no study
        found: dict[str, Any] = {room: rows(self._trials(room), self._known[room]) for room in rooms}
        screened = self.screen.candidates() if screen else ()
        return StudyHistory(study=record, elastic=self.elastic, screen=screened, **found)

    def reap(self, rooms: Iterable[Room] = QUEUES) -> int:
        """Ends and queues again the trials whose worker is gone, and what an earlier reaper left half done; to be
        called between two trials.

        Returns:
            How many trials it ended or repaired.
        """
        studies = [self.study(room) for room in rooms]
        return sum(len(abandoned.reap(study)) + len(abandoned.reconcile(study)) for study in studies)

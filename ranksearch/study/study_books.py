"""The books of a study as a whole: what was fixed when it was made, its elastic adapter, what one does for all."""

from collections.abc import Callable, Mapping
from functools import cached_property
from typing import Any, TypeVar, get_args

import msgspec
import optuna
from optuna.samplers import BaseSampler

from ..errors import StudyFileError
from ..records import ElasticRecord, Room, StudyRecord
from .at_work import AtWork, at_work
from .once import Stage, once
from .printable import printable
from .shared_storage import SharedStorage

#: room → what the name of its Optuna study adds to the study's
ROOMS: dict[Room, str] = {
    "trials": "",
    "baselines": "/baselines",
    "confirmations": "/confirmations",
    "finalists": "/finalists",
}

T = TypeVar("T")


def parts_of(name: str) -> tuple[str, ...]:
    """The names of all Optuna studies that the study ``name`` may consist of, its own last: it leads to the others."""
    rooms, stages = (name + room for room in ROOMS.values() if room), (f"{name}/{stage}" for stage in get_args(Stage))
    return (*stages, f"{name}/screen", *rooms, name)


class StudyBooks:
    """A study in its storage, without its trials.

    Attributes of a study: ``record`` (:class:`StudyRecord`), ``ready``, ``elastic`` (:class:`ElasticRecord`),
    ``budget``.
    """

    def __init__(self, storage: SharedStorage, name: str) -> None:
        self.storage, self.name = storage, name
        self._record: StudyRecord | None = None  # what is booked once is read once
        self._elastic: ElasticRecord | None = None

    @cached_property
    def _cached(self) -> Any:
        return optuna.storages.get_storage(self.storage)  # finished trials are read once

    def study(self, room: Room = "trials", sampler: BaseSampler | None = None) -> optuna.Study:
        """The Optuna study of a room."""
        return optuna.load_study(study_name=self.name + ROOMS[room], storage=self._cached, sampler=sampler)

    @property
    def exists(self) -> bool:
        """Whether the study was made, completely."""
        return self._record is not None or bool(self._attributes.get("ready"))

    @property
    def record(self) -> StudyRecord:
        """What was fixed when the study was made.

        Raises:
            StudyFileError: it was not made yet.
        """
        if self._record is None:
            attributes = self._attributes
            if not attributes.get("ready"):
                raise StudyFileError(f"study {self.name!r} has not been started yet: `ranksearch search` makes it")
            record = msgspec.convert(printable(attributes["record"]), StudyRecord)
            self._record = msgspec.structs.replace(record, name=self.name)  # files are named after it
        return self._record

    @property
    def elastic(self) -> ElasticRecord | None:
        """The shared training of the elastic adapter, where it is over or was found not to pay (when this process
        first looked)."""
        return self._elastic or self.look_for_elastic()

    def look_for_elastic(self) -> ElasticRecord | None:
        """The same as it is booked now: another process may have trained what this one found not to pay."""
        if (found := self._attributes.get("elastic")) is not None:
            self._elastic = msgspec.convert(printable(found), ElasticRecord)
        return self._elastic

    @property
    def has_elastic(self) -> bool:
        """Whether there is an elastic adapter."""
        return self.elastic is not None and not self.elastic.off

    def book_elastic(self, record: ElasticRecord) -> None:
        """Books the shared training, once; that there is none may be taken back."""
        self.look_for_elastic()
        if not self.has_elastic:
            self.study().set_user_attr("elastic", msgspec.to_builtins(record))
            self._elastic = record

    def hold_to(self, section: str, settings: Mapping[str, Any], digest: str) -> None:
        """From now on the study is held to these settings of a section, to be called before anything came of them.

        Args:
            digest: their fingerprint.
        """
        made = self.record
        self._record = msgspec.structs.replace(
            made,
            settings={**made.settings, section: settings},
            fingerprint={**made.fingerprint, section: digest},
        )
        self.study().set_user_attr("record", msgspec.to_builtins(self._record))

    @property
    def budget(self) -> int:
        """The trials that whoever came to work on it last was asked for; 0 before."""
        return self._attributes.get("budget", 0)

    def note_budget(self, trials: int) -> None:
        """For those who look on: it need not be the study file's."""
        if self.budget != trials:
            self.study().set_user_attr("budget", trials)

    def once(self, what: Stage, done: Callable[[], bool], work: Callable[[], T], **how: Any) -> T | None:
        """Does ``work`` in one process at a time until it is ``done``; see :func:`~.once.once`."""
        return once(self._cached, self._of_stage(what), done, work, **how)

    def stages_at_work(self) -> list[AtWork]:
        """What one process does for all at this moment; before the study is made, too."""
        there, working = set(optuna.get_all_study_names(self._cached)), list[AtWork]()
        for stage in get_args(Stage):
            if (name := self._of_stage(stage)) in there:
                working += at_work(self.storage, optuna.load_study(study_name=name, storage=self._cached), stage)
        return working

    def _of_stage(self, stage: Stage) -> str:
        """The name of the Optuna study whose trials are a stage's turns."""
        return f"{self.name}/{stage}"

    @property
    def _attributes(self) -> dict[str, Any]:
        try:
            return self._cached.get_study_user_attrs(self._cached.get_study_id_from_name(self.name))
        except KeyError:
            return {}

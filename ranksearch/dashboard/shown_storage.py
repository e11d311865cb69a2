"""What optuna-dashboard sees of a storage: the studies that were named, readable attributes, and no way to write."""

import copy
import re
from collections.abc import Container, Sequence
from typing import Any, NoReturn

from optuna.distributions import BaseDistribution
from optuna.storages import BaseStorage
from optuna.study import StudyDirection
from optuna.study._frozen import FrozenStudy
from optuna.trial import FrozenTrial, TrialState

from ..study.rows import record_of
from ..study.study_books import parts_of

NOTE = re.compile(r"dashboard:(\d+:)?note_(ver|str:\d+)")  # attributes of a study in which optuna-dashboard keeps notes


class ShownStorage(BaseStorage):
    """Read-only but for notes and deleting a study, all its rooms with it, which ``edits`` allows; other studies of the
    storage are not there.

    A trial's record, some kilobytes of JSON of which optuna-dashboard shows the first, is replaced by what is read off
    it: columns to sort by.

    Args:
        storage: with Optuna's cache of finished trials.
        studies: names; their screens are shown with them. Trials of other rooms have no variables, of which
            optuna-dashboard would reckon importances all the same.
    """

    def __init__(self, storage: BaseStorage, studies: Sequence[str], *, edits: bool = False) -> None:
        self._storage, self._edits = storage, edits
        self._names = {name + room for name in studies for room in ("", "/screen")}
        self._over: dict[int, FrozenTrial] = {}  # by id: they change no more

    def get_all_studies(self) -> list[FrozenStudy]:
        shown = [study for study in self._storage.get_all_studies() if study.study_name in self._names]
        for study in shown:
            study.user_attrs = {k: v for k, v in study.user_attrs.items() if k not in ("record", "elastic")}
        return sorted(shown, key=lambda study: study._study_id)

    def get_study_id_from_name(self, study_name: str) -> int:
        return self._shown(self._storage.get_study_id_from_name(study_name))

    def get_study_name_from_id(self, study_id: int) -> str:
        return self._storage.get_study_name_from_id(self._shown(study_id))

    def get_study_directions(self, study_id: int) -> list[StudyDirection]:
        return self._storage.get_study_directions(self._shown(study_id))

    def get_study_user_attrs(self, study_id: int) -> dict[str, Any]:
        return self._storage.get_study_user_attrs(self._shown(study_id))

    def get_study_system_attrs(self, study_id: int) -> dict[str, Any]:
        return self._storage.get_study_system_attrs(self._shown(study_id))

    def get_trial(self, trial_id: int) -> FrozenTrial:
        return self._readable(self._storage.get_trial(trial_id))

    def get_all_trials(
        self, study_id: int, deepcopy: bool = True, states: Container[TrialState] | None = None
    ) -> list[FrozenTrial]:
        trials = self._storage.get_all_trials(self._shown(study_id), deepcopy=False, states=states)
        return [self._readable(trial) for trial in trials]  # copies already

    def set_study_system_attr(self, study_id: int, key: str, value: Any) -> None:
        if not self._edits or not NOTE.fullmatch(key):
            self._refuse()
        self._storage.set_study_system_attr(self._shown(study_id), key, value)

    def delete_study(self, study_id: int) -> None:
        if not self._edits:
            self._refuse()
        there = {study.study_name: study._study_id for study in self._storage.get_all_studies()}
        for name in parts_of(self.get_study_name_from_id(study_id)):
            if name in there:
                self._storage.delete_study(there[name])

    def create_new_study(self, directions: Sequence[StudyDirection], study_name: str | None = None) -> int:
        self._refuse()

    def create_new_trial(self, study_id: int, template_trial: FrozenTrial | None = None) -> int:
        self._refuse()

    def set_study_user_attr(self, study_id: int, key: str, value: Any) -> None:
        self._refuse()

    def set_trial_param(
        self, trial_id: int, param_name: str, param_value_internal: float, distribution: BaseDistribution
    ) -> None:
        self._refuse()

    def set_trial_state_values(self, trial_id: int, state: TrialState, values: Sequence[float] | None = None) -> bool:
        self._refuse()

    def set_trial_intermediate_value(self, trial_id: int, step: int, intermediate_value: float) -> None:
        self._refuse()

    def set_trial_user_attr(self, trial_id: int, key: str, value: Any) -> None:
        self._refuse()

    def set_trial_system_attr(self, trial_id: int, key: str, value: Any) -> None:
        self._refuse()

    def _refuse(self) -> NoReturn:
        raise PermissionError("the dashboard does not write this")

    def _shown(self, study_id: int) -> int:
        """The id of a study that is shown; KeyError, as for one that is not there, otherwise."""
        if self._storage.get_study_name_from_id(study_id) not in self._names:
            raise KeyError(study_id)
        return study_id

    def _readable(self, trial: FrozenTrial) -> FrozenTrial:
        if (known := self._over.get(trial._trial_id)) is not None:
            return known
        shown = copy.copy(trial)
        shown.user_attrs = attributes(trial)
        if trial.state.is_finished():
            self._over[trial._trial_id] = shown
        return shown


def attributes(trial: FrozenTrial) -> dict[str, Any]:
    """A trial's user attributes for a reader."""
    told: dict[str, Any] = {k: trial.user_attrs[k] for k in ("origin", "reason", "retry_of") if k in trial.user_attrs}
    record = record_of(trial)
    if record is None:
        return told
    measured = {
        "compression_ratio": round(record.counted.compression_ratio, 4),
        "mac_ratio": round(record.counted.mac_ratio, 4),
        "params": record.counted.params,
        "seconds": round(record.cost.seconds, 1),
    }
    remarks = {"failure": record.failure, "stopped": record.stopped, "copy_of": record.copy_of}
    return {"origin": record.origin, **told, **measured, **{k: v for k, v in remarks.items() if v not in ("", None)}}

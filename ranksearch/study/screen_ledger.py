"""The books of the screen: every candidate that a cheap stage measured, in an Optuna study of its own, NAME/screen."""

from typing import Any

import msgspec
import optuna
from optuna.distributions import BaseDistribution
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial

from ..records import CheapStage, ScreenedCandidate

METRICS = ("-distance", "log2 compression_ratio")  # both maximised


class ScreenLedger:
    """The screen of the study ``name``; made before its first candidate is written.

    A candidate is one row written at once, with its rank variables as Optuna's parameters and one attribute: some
    milliseconds, where asking and telling through the database would take one commit per variable.

    Attribute of the Optuna study: ``queued``, how many trials followed from it.
    """

    def __init__(self, storage: optuna.storages.BaseStorage, name: str) -> None:
        self.storage, self.name = storage, f"{name}/screen"
        self._known: list[ScreenedCandidate] = []

    @property
    def exists(self) -> bool:
        """Whether anything was screened."""
        return self._id is not None

    @property
    def _id(self) -> int | None:
        try:
            return self.storage.get_study_id_from_name(self.name)
        except KeyError:
            return None

    @property
    def _attributes(self) -> dict[str, Any]:
        return {} if self._id is None else self.storage.get_study_user_attrs(self._id)

    @property
    def queued(self) -> int | None:
        """How many trials were queued when the screen was over; None before."""
        return self._attributes.get("queued")

    def make(self) -> None:
        """Makes the Optuna study where there is none."""
        optuna.create_study(
            study_name=self.name,
            storage=self.storage,
            directions=[StudyDirection.MAXIMIZE] * len(METRICS),
            load_if_exists=True,
        )

    def close(self, queued: int) -> None:
        """The screen is over."""
        optuna.load_study(study_name=self.name, storage=self.storage).set_user_attr("queued", queued)

    def add(self, candidate: ScreenedCandidate, space: dict[str, BaseDistribution]) -> None:
        """Writes a candidate; ``space`` is that of its values."""
        told = {k: v for k, v in msgspec.to_builtins(candidate).items() if k not in ("number", "values")}
        optuna.load_study(study_name=self.name, storage=self.storage).add_trial(
            optuna.trial.create_trial(
                params=candidate.values,
                distributions=space,
                values=list(candidate.objectives),
                user_attrs={"candidate": told},
            )
        )

    def candidates(self, stage: CheapStage | None = None) -> tuple[ScreenedCandidate, ...]:
        """Every candidate, of one stage or of all, in the order in which they were measured."""
        if self._id is not None:
            trials = self.storage.get_all_trials(self._id, deepcopy=False)
            self._known += [_candidate(trial) for trial in trials[len(self._known) :]]
        return tuple(c for c in self._known if stage in (None, c.stage))


def _candidate(trial: FrozenTrial) -> ScreenedCandidate:
    told = {**trial.user_attrs["candidate"], "number": trial.number, "values": trial.params}
    return msgspec.convert(told, ScreenedCandidate)

"""Who is at work on a study at this moment: its running trials, their workers, and how long each has been silent."""

from datetime import datetime

import msgspec
import optuna
from optuna.trial import TrialState

from ..records import Room
from .abandoned import Worker, worker_of
from .once import Stage
from .shared_storage import SharedStorage


class AtWork(msgspec.Struct, frozen=True):
    """A running trial, or what one process does for all.

    Attributes:
        what: its room, or stage.
        worker: the process that runs it; None where it has not said so yet.
        seconds: since the trial began.
        silent: seconds since its last heartbeat, by the database's clock; None before the first.
    """

    what: Room | Stage
    number: int
    worker: Worker | None
    seconds: float
    silent: float | None

    @property
    def gone(self) -> bool:
        """Whether its process is known to be no more: the next worker to look will queue the trial again."""
        return self.worker is not None and self.worker.gone


def at_work(storage: SharedStorage, study: optuna.Study, what: Room | Stage) -> list[AtWork]:
    """The running trials of a room or stage, by number."""
    silent, now = storage.silence(study._study_id), datetime.now()
    return [
        AtWork(
            what,
            trial.number,
            worker_of(trial),
            max(0.0, (now - (trial.datetime_start or now)).total_seconds()),
            silent.get(trial._trial_id),
        )
        for trial in study.get_trials(deepcopy=False, states=(TrialState.RUNNING,))
    ]

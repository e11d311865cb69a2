"""Optuna's storage, made safe for several workers, and patient with a server that restarts."""

import json
import time
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

import optuna
import sqlalchemy
from optuna.exceptions import StorageInternalError, UpdateFinishedTrialError
from optuna.storages import RDBStorage
from optuna.storages._rdb import models
from optuna.trial import FrozenTrial, TrialState
from sqlalchemy import exc as sql_errors
from sqlalchemy.orm import Session

from .abandoned import GRACE, Worker, queue_again
from .deadline import DEADLINE, Deadlines
from .greeting import greet
from .patience import PATIENCE, make_patient
from .pinging import EVENTS as PINGING

HEARTBEAT = 30  # seconds between two beats of a running trial


class SharedStorage(RDBStorage):
    """Optuna's storage, made safe for several workers.

    Every running trial bears the worker that runs it from its first moment; on SQLite, which has no
    ``SELECT … FOR UPDATE``, a waiting trial is taken and a trial ended by one worker only; a lost trial
    has one successor; a heartbeat that fails once does not end the beating. An outage of the server is waited for.
    """

    keeps_names = True  # whose study may be deleted by others and made again, as a dashboard's, asks each time
    missed = float("-inf")
    outage: float | None = None

    def __init__(self, url: str, engine_options: Mapping[str, Any]) -> None:
        self.deadlines = Deadlines()
        self._ids: dict[str, int] = {}  # of studies by name: no worker sees them change
        events = [*self.deadlines.events, (greet(url), "connect"), *PINGING]
        with self.deadlines.within(DEADLINE):
            super().__init__(
                url.replace("{", "{{").replace("}", "}}"),  # Optuna formats the URL
                engine_kwargs={**engine_options, "pool_events": events},
                heartbeat_interval=HEARTBEAT,
                grace_period=GRACE,
                heartbeat_stale_trial_callback=_lost,
                skip_compatibility_check=True,  # it takes two connections at once: many workers wait for each other
            )
            if self.get_current_version() != self.get_head_version():
                self._version_manager.check_table_schema_compatibility()

    def get_study_id_from_name(self, study_name: str) -> int:
        if study_name not in self._ids or not self.keeps_names:
            self._ids[study_name] = super().get_study_id_from_name(study_name)
        return self._ids[study_name]

    def delete_study(self, study_id: int) -> None:
        super().delete_study(study_id)
        self._ids = {name: number for name, number in self._ids.items() if number != study_id}

    def _create_new_trial(self, study_id: int, template_trial: FrozenTrial | None = None) -> FrozenTrial:
        if template_trial is None:
            mine = {"worker": Worker.current().plain}
            template_trial = optuna.trial.create_trial(state=TrialState.RUNNING, user_attrs=mine)
        self._lock_sqlite()
        trial = super()._create_new_trial(study_id, template_trial)
        return self.get_trial(trial._trial_id) if "retry_of" in trial.user_attrs else trial  # it may have been there

    def _get_prepared_new_trial(
        self, study_id: int, template_trial: FrozenTrial | None, session: Session
    ) -> models.TrialModel:
        """The successor that a lost trial has already, whoever queued it: other trials of the study wait here."""
        parent = template_trial and template_trial.user_attrs.get("retry_of")
        if parent is not None:
            trial, attribute = models.TrialModel, models.TrialUserAttributeModel
            successors = session.query(trial).join(attribute, attribute.trial_id == trial.trial_id)
            mine = (trial.study_id == study_id, attribute.key == "retry_of", attribute.value_json == json.dumps(parent))
            if successor := successors.filter(*mine).first():
                return successor
        return super()._get_prepared_new_trial(study_id, template_trial, session)

    def _lock_sqlite(self) -> None:
        """Takes the write lock first: reading, then writing lets two workers do the same."""
        if self.engine.name == "sqlite":
            self.scoped_session().execute(sqlalchemy.text("BEGIN IMMEDIATE"))

    def set_trial_state_values(self, trial_id: int, state: TrialState, values: Sequence[float] | None = None) -> bool:
        self._lock_sqlite()
        try:
            changed = super().set_trial_state_values(trial_id, state, values)
        except UpdateFinishedTrialError:
            if not self._is_mine_already(trial_id, state):
                raise
            return True
        if changed and state == TrialState.RUNNING:
            self.set_trial_user_attr(trial_id, "worker", Worker.current().plain)
        return changed

    def _is_mine_already(self, trial_id: int, state: TrialState) -> bool:
        """Whether this process has ended the trial so: the answer was lost in an outage, and it was asked again."""
        trial = self.get_trial(trial_id)
        lately = time.monotonic() - self.missed < 2 * PATIENCE
        return lately and trial.state == state and trial.user_attrs.get("worker") == Worker.current().plain

    def record_heartbeat(self, trial_id: int) -> None:
        try:
            with self.deadlines.within(HEARTBEAT):
                super().record_heartbeat(trial_id)
        except (StorageInternalError, sql_errors.SQLAlchemyError):
            self.missed = time.monotonic()

    def _get_stale_trial_ids(self, study_id: int) -> list[int]:
        """Also those that have run for the grace without a first beat: their worker was killed before it.

        None within an interval of a missed beat: after an outage, everybody's last beat is old.
        """
        if time.monotonic() - self.missed < HEARTBEAT:
            return []
        silent = super()._get_stale_trial_ids(study_id)
        trial, beat = models.TrialModel, models.TrialHeartbeatModel
        never = (
            sqlalchemy.select(trial.trial_id)
            .outerjoin(beat, beat.trial_id == trial.trial_id)
            .where(trial.study_id == study_id, trial.state == TrialState.RUNNING, beat.trial_id.is_(None))
        )
        with self.engine.connect() as connection:
            numbers = connection.execute(never).scalars().all()
        unheard = [self.get_trial(number) for number in numbers]
        since = datetime.now() - timedelta(seconds=GRACE)  # by workers' clocks: the database's has not seen them
        return silent + [t._trial_id for t in unheard if t.datetime_start and t.datetime_start < since]

    def silence(self, study_id: int) -> dict[int, float]:
        """Seconds since the last heartbeat of each running trial that has beaten, by trial id; on the database's clock,
        so that no two machines' clocks are compared."""
        trial, beat = models.TrialModel, models.TrialHeartbeatModel
        beats = (
            sqlalchemy.select(trial.trial_id, beat.heartbeat)
            .join(beat, beat.trial_id == trial.trial_id)
            .where(trial.study_id == study_id, trial.state == TrialState.RUNNING)
        )
        with self.engine.connect() as connection:
            now = connection.execute(sqlalchemy.select(sqlalchemy.func.now())).scalar_one().replace(tzinfo=None)
            return {number: max(0.0, (now - at).total_seconds()) for number, at in connection.execute(beats)}


def _lost(study: optuna.Study, trial: FrozenTrial) -> None:
    queue_again(study, trial)


#: what Optuna asks of a storage in mid-study, read and written
make_patient(
    SharedStorage, "create_new_study", "set_study_user_attr", "set_study_system_attr", "get_study_id_from_name",
    "get_study_name_from_id", "get_study_directions", "get_study_user_attrs", "get_study_system_attrs",
    "_create_new_trial", "set_trial_param", "_set_trial_param", "set_trial_state_values", "set_trial_user_attr",
    "set_trial_system_attr", "get_trial", "get_all_trials", "_get_trials", "_get_stale_trial_ids", "silence",
)  # fmt: skip

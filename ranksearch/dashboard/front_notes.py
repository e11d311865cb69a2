"""The rank table of every trial of the front, as the note that optuna-dashboard shows beside it."""

import hashlib
import logging
import re
import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from optuna.exceptions import StorageInternalError
from sqlalchemy import exc as sql_errors

from ..errors import describe
from ..layers import full_ranks
from ..markdown import code
from ..records import StudyHistory, Trial, TrialRecord
from ..study import Ledger
from ..terminal.tables import ranks_text

log = logging.getLogger(__name__)

MARK = "[//]: # (ranksearch"  # a note of ours begins with it and a digest of the rest; Markdown does not show the line
PART = re.compile(r"dashboard:(\d+):note_str:(\d+)")  # attributes of a study that hold the notes of its trials


@dataclass
class FrontNotes:
    """Notes of one study; those that people wrote are left alone.

    Attributes:
        refused: whether the database took no note; it is said once, and nothing more is written.
    """

    ledger: Ledger
    file: Path
    refused: bool = False

    def write(self, history: StudyHistory) -> None:
        """Notes the ranks of every trial of the front, and removes the notes of trials that left it."""
        if self.refused:
            return
        try:
            self._write({t.number: note(t, t.record, history, self.file) for t in history.front() if t.record})
        except (StorageInternalError, sql_errors.DBAPIError) as error:
            found = error.__cause__ or error
            told = describe(getattr(found, "orig", None) or found)
            log.warning("the database takes no notes (%s): the front stays without rank tables in the dashboard", told)
            self.refused = True

    def _write(self, front: Mapping[int, str]) -> None:
        from optuna_dashboard import save_note

        study = self.ledger.study()
        storage, study_id = study._storage, study._study_id
        there = _notes(storage.get_study_system_attrs(study_id))
        wanted = {storage.get_trial_id_from_study_id_trial_number(study_id, n): body for n, body in front.items()}
        left = {trial: "" for trial, body in there.items() if _ours(body) and trial not in wanted}
        for trial, body in (wanted | left).items():
            before = there.get(trial, "")
            if before != body and (not before or _ours(before)):
                save_note(_Noted(storage, study, trial), body)


@dataclass(frozen=True)
class _Noted:
    """A finished trial as ``save_note`` asks for it: Optuna's own ``Trial`` would have the sampler propose one."""

    storage: Any
    study: Any
    _trial_id: int


def _notes(attributes: Mapping[str, Any]) -> dict[int, str]:
    """The notes by id of their trial."""
    parts: dict[int, dict[int, str]] = {}
    for key, part in attributes.items():
        if match := PART.fullmatch(key):
            parts.setdefault(int(match[1]), {})[int(match[2])] = part
    return {trial: "".join(found[i] for i in sorted(found)) for trial, found in parts.items()}


def _ours(body: str) -> bool:
    """Whether a note is as we wrote it: once somebody added a word, it is theirs."""
    return body == _marked(body.partition("\n")[2])


def _marked(text: str) -> str:
    return f"{MARK} {hashlib.sha256(text.encode()).hexdigest()[:8]})\n{text}"


def note(trial: Trial, record: TrialRecord, history: StudyHistory, file: Path) -> str:
    """Markdown: what a trial of the front measured, how to take it away, and its ranks by layer."""
    study, cost = history.study, record.counted
    command = f"ranksearch export {shlex.quote(str(file))} --select trial={trial.number}"
    told = (
        f"**On the front**: {record.measured.accuracy:.2%} on the search split (dense {study.dense.accuracy:.2%}), "
        f"{cost.compression_ratio:.2f}× smaller ({cost.params:,} of {study.network.params:,} parameters, {record.form} "
        f"form), {cost.mac_ratio:.2f}× fewer multiplications."
    )
    rows = [
        f"| {code(layer.name)} | {ranks_text(record.configuration[layer.name])} | "
        f"{'×'.join(map(str, full_ranks(layer)))} |"
        for layer in study.network.layers
    ]
    lines = ["", told, "", code(command), "", "| layer | ranks | full |", "|---|---:|---:|", *rows]
    return _marked("\n".join(lines))

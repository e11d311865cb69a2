"""The measured networks of the front, kept beside the storage so that what is exported is what was measured."""

from pathlib import Path

import msgspec
from torch import nn

from ..errors import SelectionError
from ..export import save_compressed
from ..records import RankFile, StudyHistory, Trial, TrialRecord
from ..study import StudyFile


class NetworkStore:
    """A folder with one compressed checkpoint per trial of the front: bounded, whatever the number of trials.

    Files are named by what a trial measured (:attr:`TrialRecord.key`), never by its number alone.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @classmethod
    def of(cls, study: StudyFile) -> "NetworkStore":
        """The store of a study: a folder beside its SQLite file, or else beside the study file."""
        scheme, _, file = study.storage_url.partition(":///")
        beside = Path(file) if scheme == "sqlite" else study.folder / f"{study.name}.db"
        return cls(beside.with_suffix(".networks"))

    @property
    def elastic(self) -> Path:
        """The study's elastic adapter."""
        return self.folder / "elastic.safetensors"

    def path(self, key: str) -> Path:
        return self.folder / f"{key}.safetensors"

    def keep(self, record: TrialRecord, network: nn.Module, ranks: RankFile, history: StudyHistory) -> None:
        """Stores the network of a trial that is about to be told, if it joins the front of ``history``.

        Before, not after: whoever is killed in between leaves a file too many, never one too few.
        """
        about_to = Trial(number=-1, state="complete", record=record)
        front = msgspec.structs.replace(history, trials=(*history.trials, about_to)).front()
        if about_to in front:
            save_compressed(network, ranks, self.path(record.key))

    def prune(self, history: StudyHistory) -> None:
        """Drops the networks of told trials that are no longer on the front; those not told yet are left alone."""
        front = {t.record.key for t in history.front() if t.record}
        for trial in history.finished():
            if trial.record and trial.record.key not in front:
                self.path(trial.record.key).unlink(missing_ok=True)  # another worker may have been quicker

    def find(self, number: int, ranks: RankFile) -> Path:
        """The checkpoint of trial ``number``.

        Raises:
            SelectionError: the trial's weights were not kept, since it is not on the front.
        """
        path = self.path(ranks.key)
        if not path.exists():
            raise SelectionError(
                f"trial {number}: its weights were not kept in {self.folder} (only the front's are); export its ranks "
                "and train them with `ranksearch finetune`"
            )
        return path

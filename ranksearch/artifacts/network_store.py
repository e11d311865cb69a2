"""The measured networks of the front, kept among the study's artifacts: what is exported is what was measured."""

from collections.abc import Callable
from pathlib import Path

import msgspec
from torch import nn

from ..errors import SelectionError
from ..export import save_compressed
from ..records import RankFile, StudyHistory, Trial, TrialRecord
from .artifacts import Artifacts


class NetworkStore:
    """One compressed checkpoint per trial of the front: bounded, whatever the number of trials.

    Files are named by what a trial measured (:attr:`TrialRecord.key`), never by its number alone.
    """

    def __init__(self, artifacts: Artifacts) -> None:
        self.artifacts = artifacts
        self._seen: set[str] = set()

    def keep(self, record: TrialRecord, network: nn.Module, ranks: RankFile, history: StudyHistory) -> None:
        """Stores the network of a trial that is about to be told, if it joins the front of ``history``.

        Before, not after: whoever is killed in between leaves a file too many, never one too few.
        """
        about_to = Trial(number=-1, state="complete", record=record)
        front = msgspec.structs.replace(history, trials=(*history.trials, about_to)).front()
        if about_to in front:
            self._seen.add(record.key)
            self.artifacts.put(_name(record.key), lambda path: save_compressed(network, ranks, path))

    def prune(self, history: StudyHistory, told: Callable[[str], object]) -> None:
        """Drops the networks that this process kept, or saw on the front, and that left it.

        Args:
            told: whether a trial of this key is told; what is not told yet may join the front.
        """
        front = {t.record.key for t in history.front() if t.record}
        left = {key for key in self._seen - front if told(key)}
        for key in left:
            self.artifacts.remove(_name(key))
        self._seen = (self._seen - left) | front

    def find(self, number: int, ranks: RankFile) -> Path:
        """The checkpoint of trial ``number``.

        Raises:
            SelectionError: the trial's weights were not kept, since it is not on the front; or they are gone.
        """
        path = self.artifacts.get(_name(ranks.key))
        if path is None:
            raise SelectionError(
                f"trial {number}: its weights are not in {self.artifacts}: only the front's are kept, on the machine "
                "that measured them unless search.artifacts is shared; export its ranks and train them with "
                "`ranksearch finetune`"
            )
        return path


def _name(key: str) -> str:
    return f"{key}.safetensors"

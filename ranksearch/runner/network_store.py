"""The measured networks of the front, kept beside the storage so that what is exported is what was measured."""

from pathlib import Path

import msgspec
from torch import nn

from ..errors import SelectionError
from ..export import read_ranks, save_compressed
from ..pareto import non_dominated
from ..records import RankFile, StudyHistory, Trial, TrialRecord
from ..study import StudyFile


class NetworkStore:
    """A folder with one compressed checkpoint per trial of the front: bounded, whatever the number of trials."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @classmethod
    def of(cls, study: StudyFile) -> "NetworkStore":
        """The store of a study: a folder beside its file."""
        return cls(study.folder / f"{study.name}.networks")

    def path(self, number: int) -> Path:
        return self.folder / f"trial-{number}.safetensors"

    def keep(
        self, number: int, network: nn.Module, ranks: RankFile, history: StudyHistory, record: TrialRecord
    ) -> None:
        """Stores the network of a trial that is about to finish, if it joins the front; drops those that leave it."""
        about_to = Trial(number=number, state="complete", record=record)
        front = front_numbers(msgspec.structs.replace(history, trials=(*history.trials, about_to)))
        if number in front:
            save_compressed(network, ranks, self.path(number))
        for path in self.folder.glob("trial-*.safetensors"):
            if int(path.stem.removeprefix("trial-")) not in front:
                path.unlink(missing_ok=True)  # another worker may have been quicker

    def find(self, number: int) -> Path:
        """The checkpoint of a trial.

        Raises:
            SelectionError: the trial's weights were not kept, since it is not on the front.
        """
        path = self.path(number)
        if not path.exists():
            raise SelectionError(
                f"trial {number}: its weights were not kept in {self.folder} (only the front's are); export its ranks "
                "and train them with `ranksearch finetune`"
            )
        read_ranks(path)
        return path


def front_numbers(history: StudyHistory) -> set[int]:
    """Numbers of the trials on the front, by all objectives of the study."""
    trials = [t for t in history.finished() if t.record and not t.record.failure]
    points = [t.record.objectives(history.study.objectives) for t in trials if t.record]
    return {t.number for t, kept in zip(trials, non_dominated(points), strict=True) if kept}

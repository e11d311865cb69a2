"""A study as the report looks at it: its history, and the tables made from it, each once."""

from dataclasses import dataclass
from functools import cached_property

import pandas as pd

from ..front import (
    StageComparison,
    compare_stages,
    confirmed_table,
    finalist_table,
    front,
    stage_table,
    trial_table,
)
from ..records import StudyHistory, StudyRecord, Trial


@dataclass(frozen=True, eq=False)
class StudyView:
    """A history and, when first asked for, its tables (see :mod:`ranksearch.front`); they are not to be changed."""

    history: StudyHistory

    @property
    def study(self) -> StudyRecord:
        return self.history.study

    @property
    def rooms(self) -> dict[str, tuple[Trial, ...]]:
        """The rows of the study and its siblings as stored, whatever became of them."""
        h = self.history
        named = {"search": h.trials, "baselines": h.baselines, "confirmations": h.confirmations}
        return named | {"finalists": h.finalists}

    @cached_property
    def trials(self) -> pd.DataFrame:
        """Every trial that ended with a measurement of its own, failed and stopped ones too, in order of ending."""
        return trial_table(self.history)

    @cached_property
    def front(self) -> pd.DataFrame:
        """The trials on the front, from the largest network to the smallest."""
        return front(self.trials)

    @cached_property
    def trial_of(self) -> dict[str, int]:
        """The first trial that worked with certain ranks, by their digest."""
        works = self.trials[(self.trials["failure"] == "") & (self.trials["stopped"] == "")].drop_duplicates("digest")
        return dict(zip(works["digest"], works["number"], strict=True))

    @cached_property
    def baselines(self) -> pd.DataFrame:
        """Every baseline that finished and did not fail, from the largest network to the smallest, with its name."""
        table = trial_table(self.history, "baselines")
        table = table[table["failure"] == ""].sort_values("compression_ratio", kind="stable")
        return table.assign(baseline=table["origin"].map(baseline_name))

    @cached_property
    def confirmed(self) -> pd.DataFrame:
        """The front with what further seeds measured; see :func:`ranksearch.front.confirmed_table`."""
        return confirmed_table(self.history)

    @cached_property
    def finalists(self) -> pd.DataFrame:
        """Every finalist, from the largest network to the smallest."""
        return finalist_table(self.history)

    @cached_property
    def stages(self) -> pd.DataFrame:
        """How well the cheap stages foretell the trained networks; without rows where none was asked."""
        return stage_table(self.trials)

    @cached_property
    def comparison(self) -> StageComparison | None:
        """Which cheap stage ranks better; None where only one was asked."""
        return compare_stages(self.trials)


def baseline_name(origin: str) -> str:
    """
    >>> baseline_name("baseline uniform@4")
    'uniform'
    """
    return origin.removeprefix("baseline ").partition("@")[0]

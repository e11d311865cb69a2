"""The front as it was selected, beside what further seeds say of it."""

from collections.abc import Sequence

import pandas as pd

from ..pareto import non_dominated
from ..records import StudyHistory
from .best import front
from .trial_table import trial_table


def confirmed_table(history: StudyHistory) -> pd.DataFrame:
    """The front, from the largest network to the smallest, with what its confirmations measured.

    A point was selected for its ``accuracy``, which is optimistic for that; ``accuracy_mean`` and ``accuracy_std``
    (n − 1; NaN of one seed) are over the further ``seeds`` alone, ``failures`` of which gave no measurement more.
    ``still_on_front``: not dominated by the means of the others; NA where there is none of its own.
    The other columns are those of :func:`~.trial_table.trial_table`.
    """
    selected = front(trial_table(history)).set_index("key", drop=False)
    again = trial_table(history, "confirmations").drop_duplicates(["key", "seed"])
    failed = again["failure"] != ""
    measured = again[~failed].groupby("key")["accuracy"]
    table = selected.assign(
        accuracy_mean=measured.mean(),
        accuracy_std=measured.std(),
        seeds=measured.size(),
        failures=failed.groupby(again["key"]).sum(),
    )
    counts = ["seeds", "failures"]
    table[counts] = table[counts].fillna(0).astype("int64")
    return table.assign(still_on_front=_still_on_front(table, history.study.objectives)).reset_index(drop=True)


def _still_on_front(table: pd.DataFrame, objectives: Sequence[str]) -> pd.Series:
    known = table[table["seeds"] > 0]
    kept = non_dominated(known.assign(accuracy=known["accuracy_mean"])[list(objectives)].to_numpy(float))
    return pd.Series(kept, index=known.index, dtype="boolean").reindex(table.index)


def optimism(confirmed: pd.DataFrame) -> float | None:
    """Mean of selected − confirmed accuracy over the confirmed points, a fraction; None where there is none."""
    difference = (confirmed["accuracy"] - confirmed["accuracy_mean"]).dropna()
    return float(difference.mean()) if len(difference) else None

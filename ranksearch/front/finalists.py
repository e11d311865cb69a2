"""Finalists: what full-length fine-tuning reached over several seeds, beside what the search had measured."""

import math

import numpy as np
import pandas as pd

from ..records import DENSE_CONTROL, Recipe, StudyHistory
from .stages import spearman
from .trial_table import trial_table

#: columns that all seeds of a finalist share
SHARED = ["compression_ratio", "compression_ratio_plain", "compression_ratio_pivoted", "mac_ratio", "params", "macs"]


def finalist_table(history: StudyHistory) -> pd.DataFrame:
    """One row per finalist, from the largest network to the smallest.

    A finalist is a configuration with its schedule and recipe (``key``), its ``origin`` and the ``split`` it was
    measured on: the same ranks trained longer are another row. ``accuracy_mean`` and ``accuracy_std`` (n − 1; NaN
    of one seed) over the ``seeds`` that gave a measurement, ``failures`` that did not; ``images`` and ``seconds``
    of one seed (mean). ``search_accuracy`` is the best that a trial or baseline with the same ranks (``digest``)
    reached on the search split, NaN where there is none; ``lr`` tells dense controls of several recipes apart, and
    ``control_accuracy`` is the mean of those that were trained by the row's own recipe, NaN where there are none.
    """
    finalists = trial_table(history, "finalists")
    searched = pd.concat([trial_table(history, "trials"), trial_table(history, "baselines")])
    measured = (searched["failure"] == "") & (searched["stopped"] == "")
    best = searched[measured].groupby("digest")["accuracy"].max()

    by = ["key", "origin", "split"]
    tested = finalists[finalists["failure"] == ""].groupby(by, sort=False)
    table = pd.DataFrame(
        {
            "accuracy_mean": tested["accuracy"].mean(),
            "accuracy_std": tested["accuracy"].std(),
            "seeds": tested.size(),
            "images": tested["images"].mean(),
            "seconds": tested["seconds"].mean(),
        }
    )
    all_ = finalists.groupby(by, sort=False)
    table = all_[["digest", *SHARED]].first().assign(lr=all_["recipe/lr"].first()).join(table)
    table["seeds"] = table["seeds"].fillna(0).astype("int64")
    table["failures"] = all_.size() - table["seeds"]
    table["search_accuracy"] = table["digest"].map(best).astype("float64")
    trained = [t.record for t in history.finished("finalists") if t.record and not t.record.failure]
    controls: dict[Recipe, list[float]] = {}
    for record in trained:
        if record.origin == DENSE_CONTROL:
            controls.setdefault(record.recipe.control, []).append(record.measured.accuracy)
    beside = {r.key: np.mean(controls.get(r.recipe.control, [math.nan])) for r in trained}
    table["control_accuracy"] = table.index.get_level_values("key").map(beside).astype("float64")
    return table.reset_index().sort_values("compression_ratio", kind="stable", ignore_index=True)


def search_test_correlation(finalists: pd.DataFrame) -> float | None:
    """Spearman's rank correlation of ``search_accuracy`` and mean test accuracy over the rows that have both.

    None below three rows, or where either side is constant: no order to compare.
    """
    both = finalists.loc[finalists["split"] == "test", ["search_accuracy", "accuracy_mean"]].dropna()
    if len(both) < 3:
        return None
    correlation = spearman(*both.to_numpy(float).T)
    return None if math.isnan(correlation) else correlation

"""The section on finalists: what full-length fine-tuning reached on the test split, several seeds, dense control."""

from collections.abc import Sequence

import pandas as pd

from ..front import search_test_correlation
from .blocks import Block, Column, Section, Table, Text, per_study
from .study_view import StudyView
from .wording import MISSING, count, percent, plural, points, times

FEW = 10  # below so many pairs a rank correlation says little


def finalists_section(views: Sequence[StudyView]) -> Section:
    """Configurations fine-tuned at full length."""

    def blocks(view: StudyView, _: int) -> Sequence[Block]:
        table = finalists_table(view)
        if not table.rows:
            return (
                Text(
                    "None yet. “ranksearch finetune STUDY ranks.json”, in a notebook study.finetune(…), trains a "
                    "configuration at full length, with several seeds, beside a dense control."
                ),
            )
        return (table, Text(correlation_sentence(view.finalists)))

    return Section("finalists", "Finalists", per_study(views, blocks))


def finalists_table(view: StudyView) -> Table:
    """One row per finalist: mean ± standard deviation over its seeds, and the trial whose ranks it has."""
    table = view.finalists
    numbers = ("trial", "ratio, pivoted", "ratio, plain", "MACs", "in the search", "accuracy", "to dense control")
    return Table(
        (
            Column("network"),
            *(Column(title, "number") for title in numbers),
            Column("split"),
            Column("seeds", "number"),
            Column("images", "number"),
            Column("lr", "number"),
        ),
        tuple(
            (
                row["origin"],
                str(view.trial_of.get(row["digest"], MISSING)),
                times(row["compression_ratio_pivoted"]),
                times(row["compression_ratio_plain"]),
                times(row["mac_ratio"]),
                percent(row["search_accuracy"]),
                mean_and_spread(row["accuracy_mean"], row["accuracy_std"]),
                points(row["accuracy_mean"] - row["control_accuracy"]),
                row["split"],
                f"{row['seeds']}" + (f" ({row['failures']} failed)" if row["failures"] else ""),
                MISSING if pd.isna(row["images"]) else count(row["images"]),
                f"{row['lr']:.3g}",
            )
            for row in table.to_dict("records")
        ),
    )


def mean_and_spread(mean: float, spread: float) -> str:
    r"""
    >>> mean_and_spread(0.90731, 0.00123), mean_and_spread(0.9, float("nan"))
    ('90.73 ± 0.12\xa0%', '90.00\xa0%')
    """
    return percent(mean, 2) if pd.isna(spread) else f"{100 * mean:.2f} ± {percent(spread, 2)}"


def correlation_sentence(finalists: pd.DataFrame) -> str:
    """How far the order on the search split is the order on the test split, with the number of pairs."""
    tested = finalists[finalists["split"] == "test"]
    pairs = len(tested.dropna(subset=["search_accuracy", "accuracy_mean"]))
    rho = search_test_correlation(finalists)
    found = "not defined" if rho is None else f"{rho:.2f}".replace("-", "−")
    few = " (too few to judge by)" if pairs < FEW else ""
    return f"Rank correlation (Spearman) of search and test accuracy over {plural(pairs, 'finalist')}: {found}{few}."

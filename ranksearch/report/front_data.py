"""What the picture of the front shows: every network of a study in the plane of compression ratio and accuracy."""

from dataclasses import dataclass
from itertools import chain

import numpy as np
import pandas as pd

from ..pareto import Box
from .study_view import StudyView
from .wording import count, duration, percent, plotly_text, plural, points, schedule_of, schedule_words, times


@dataclass(frozen=True)
class Point:
    """One network: compression ratio, accuracy and its spread in percent, and what hovering tells."""

    ratio: float
    accuracy: float
    hover: str
    spread: float = 0.0


Points = tuple[Point, ...]


@dataclass(frozen=True)
class FrontData:
    """One study in the plane of compression ratio and accuracy; each kind from the largest network to the smallest.

    Attributes:
        dense: accuracy of the dense network on the search split, percent.
        front: trials that no other dominates; ``staircase`` where they are a front of this very plane.
        others: the other trials; failed ones are left out everywhere.
        stopped: trials that were ended early, at the accuracy of their last milestone.
        baselines: by name.
        closed_form: allocations without training.
        finalists: after full-length fine-tuning, on the test split, mean and standard deviation over seeds.
    """

    study: str
    box: Box
    dense: float
    front: Points
    staircase: bool
    others: Points
    stopped: Points
    baselines: dict[str, Points]
    closed_form: Points
    finalists: Points

    @property
    def searched(self) -> Points:
        """Everything measured on the search split."""
        return tuple(chain(self.front, self.others, self.stopped, self.closed_form, *self.baselines.values()))

    @property
    def bottom(self) -> float:
        """Lowest accuracy worth showing, percent: the floor of the box, higher where the front is far above it."""
        lowest = min((p.accuracy for p in (*self.front, *self.finalists)), default=0.0)
        return max(100 * self.box.accuracy_floor, 100 - 2.5 * (100 - lowest))


def front_data(view: StudyView) -> FrontData:
    """What the figure shows of one study."""
    study, dense = view.study, view.study.dense.accuracy
    stopped = view.trials["stopped"] != ""
    others = view.trials[(view.trials["failure"] == "") & ~view.trials["on_front"] & ~stopped]
    return FrontData(
        study=study.name,
        box=study.box,
        dense=100 * dense,
        front=_points(view.front, dense),
        staircase=set(study.objectives) == {"accuracy", "compression_ratio"},
        others=_points(others.sort_values("compression_ratio"), dense),
        stopped=_points(view.trials[stopped].sort_values("compression_ratio"), dense),
        baselines={str(name): _points(rows, dense) for name, rows in view.baselines.groupby("baseline")},
        closed_form=tuple(
            Point(
                p.compression_ratio,
                100 * p.measured.accuracy,
                f"<b>{plotly_text(p.label)}</b>, untrained<br>{_accuracy(p.measured.accuracy, dense)}<br>"
                f"{times(p.compression_ratio)} {study.form}",
            )
            for p in sorted(study.closed_form, key=lambda p: p.compression_ratio)
        ),
        finalists=_finalists(view.finalists),
    )


def _accuracy(accuracy: float, dense: float) -> str:
    return f"{percent(accuracy, 2)} ({points(accuracy - dense)} to dense)"


def _points(rows: pd.DataFrame, dense: float) -> Points:
    return tuple(
        Point(
            row["compression_ratio"],
            100 * row["accuracy"],
            "<br>".join(
                (
                    f"<b>trial {row['number']}</b> · {plotly_text(row['origin'])}",
                    *([f"stopped {plotly_text(row['stopped'])}"] if row["stopped"] else []),
                    _accuracy(row["accuracy"], dense),
                    f"{times(row['compression_ratio_pivoted'])} pivoted"
                    f" · {times(row['compression_ratio_plain'])} plain",
                    f"{times(row['mac_ratio'])} MACs · {count(row['params'])} parameters",
                    schedule_words(schedule_of(row)),
                    f"lr {row['recipe/lr']:.3g} · {duration(row['seconds'])}",
                )
            ),
        )
        for row in rows.to_dict("records")
    )


def _finalists(rows: pd.DataFrame) -> Points:
    return tuple(
        Point(
            row["compression_ratio"],
            100 * row["accuracy_mean"],
            f"<b>{plotly_text(row['origin'])}</b>, {row['split']} split<br>"
            f"{percent(row['accuracy_mean'], 2)} ± {100 * spread:.2f} ({plural(row['seeds'], 'seed')})<br>"
            f"{times(row['compression_ratio'])} · in the search {percent(row['search_accuracy'], 2)}",
            100 * spread,
        )
        for row in rows[rows["seeds"] > 0].to_dict("records")
        for spread in [float(np.nan_to_num(row["accuracy_std"]))]  # of one seed there is none
    )


def dominated(data: FrontData) -> tuple[list[float], list[float]]:
    """Corners (ratio, accuracy in percent) of the part of the box that the front dominates: its hypervolume."""
    box, floor = data.box, 100 * data.box.accuracy_floor
    ratios = np.clip([p.ratio for p in data.front], box.ratio_low, box.ratio_high)
    heights = np.clip([p.accuracy for p in data.front], floor, 100)
    x = [box.ratio_low, *np.repeat(ratios, 2), box.ratio_low]
    y = [*np.repeat(heights, 2), floor, floor]
    return [float(v) for v in x], [float(v) for v in y]

"""What the picture of the front shows: every network of a study in the plane of compression ratio and accuracy."""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import chain
from typing import Any, get_args

import numpy as np
import pandas as pd

from ..layers import Form, network_cost
from ..pareto import Box
from ..records import PublishedPoint, StudyRecord
from .study_view import StudyView
from .wording import count, duration, percent, plotly_text, plural, points, schedule_of, schedule_words, times

FORMS: tuple[Form, ...] = get_args(Form)

#: dense / compressed, of what may stand on the axis; the first is by the study's own count
RATIOS = ("compression_ratio", "compression_ratio_pivoted", "compression_ratio_plain", "mac_ratio", "latency_ratio")


@dataclass(frozen=True)
class Point:
    """One network.

    Attributes:
        ratios: those of :data:`RATIOS` that are known.
        accuracy, spread: percent.
        hover: what hovering tells.
        key: names the point in its study, ``trials/7``; empty where there is no more to tell of it.
        label: written beside it.
    """

    ratios: Mapping[str, float]
    accuracy: float
    hover: str
    spread: float = 0.0
    key: str = ""
    label: str = ""

    @property
    def ratio(self) -> float:
        """By the study's own count; NaN where it is not known."""
        return self.ratios.get(RATIOS[0], np.nan)


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
        published: by others, on the test split.
        form: by which the study counts parameters.
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
    published: Points
    form: str

    @property
    def searched(self) -> Points:
        """Everything measured on the search split."""
        return tuple(chain(self.front, self.others, self.stopped, self.closed_form, *self.baselines.values()))

    @property
    def bottom(self) -> float:
        """Lowest accuracy worth showing, percent: the floor of the box, higher where the front is far above it."""
        lowest = min((p.accuracy for p in (*self.front, *self.finalists, *self.published)), default=0.0)
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
        baselines={str(name): _points(rows, dense, "baselines") for name, rows in view.baselines.groupby("baseline")},
        closed_form=_closed_form(study),
        finalists=_finalists(view),
        published=tuple(_published(p) for p in view.history.published),
        form=study.form,
    )


def _accuracy(accuracy: float, dense: float) -> str:
    return f"{percent(accuracy, 2)} ({points(accuracy - dense)} to dense)"


def _ratios(row: Mapping[Any, Any]) -> dict[str, float]:
    return {name: float(row[name]) for name in RATIOS if name in row and not np.isnan(row[name])}


def _points(rows: pd.DataFrame, dense: float, room: str = "trials") -> Points:
    return tuple(
        Point(
            _ratios(row),
            100 * row["accuracy"],
            "<br>".join(
                (
                    f"<b>trial {row['number']}</b> · {plotly_text(row['origin'])}",
                    *([f"stopped {plotly_text(row['stopped'])}"] if row["stopped"] else []),
                    _accuracy(row["accuracy"], dense),
                    f"{times(row['compression_ratio_pivoted'])} pivoted"
                    f" · {times(row['compression_ratio_plain'])} plain",
                    f"{times(row['mac_ratio'])} MACs · {count(row['params'])} parameters",
                    *([] if np.isnan(row["latency_ratio"]) else [f"{times(row['latency_ratio'])} as fast as dense"]),
                    schedule_words(schedule_of(row)),
                    f"lr {row['recipe/lr']:.3g} · {duration(row['seconds'])}",
                )
            ),
            key=f"{room}/{row['number']}",
        )
        for row in rows.to_dict("records")
    )


def _closed_form(study: StudyRecord) -> Points:
    found = []
    for place, p in enumerate(study.closed_form):
        costs = {form: network_cost(study.network, p.configuration, form) for form in FORMS}
        ratios = {RATIOS[0]: p.compression_ratio, "mac_ratio": costs[study.form].mac_ratio}
        ratios |= {f"compression_ratio_{form}": cost.compression_ratio for form, cost in costs.items()}
        hover = (
            f"<b>{plotly_text(p.label)}</b>, untrained<br>{_accuracy(p.measured.accuracy, study.dense.accuracy)}<br>"
            f"{times(p.compression_ratio)} {study.form}"
        )
        found.append(Point(ratios, 100 * p.measured.accuracy, hover, key=f"closed_form/{place}"))
    return tuple(sorted(found, key=lambda point: point.ratio))


def _published(point: PublishedPoint) -> Point:
    """A published result: its parameters are those that it stores, by whatever count the study counts its own."""
    counted = {"macs": "mac_ratio"}.get(point.count, f"compression_ratio_{point.count}")
    ratios = {counted: point.ratio} if point.count == "macs" else {RATIOS[0]: point.ratio, counted: point.ratio}
    of = "MACs" if point.count == "macs" else f"parameters, {point.count} count"
    name = plotly_text(point.name)
    hover = f"<b>{name}</b>, published<br>{percent(point.accuracy, 2)} on the test split<br>{times(point.ratio)} {of}"
    return Point(ratios, 100 * point.accuracy, hover, label=name)


def _finalists(view: StudyView) -> Points:
    rows, trial_of = view.finalists, view.trial_of
    return tuple(
        Point(
            _ratios(row),
            100 * row["accuracy_mean"],
            f"<b>{plotly_text(row['origin'])}</b>, {row['split']} split<br>"
            f"{percent(row['accuracy_mean'], 2)} ± {100 * spread:.2f} ({plural(row['seeds'], 'seed')})<br>"
            f"{times(row['compression_ratio'])} · in the search {percent(row['search_accuracy'], 2)}",
            100 * spread,
            f"trials/{trial_of[row['digest']]}" if row["digest"] in trial_of else "",
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

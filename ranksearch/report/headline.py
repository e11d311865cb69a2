"""A study in a few words and key figures: how far it is, what its front spans, what it costs in accuracy."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd

from ..errors import SelectionError
from ..front import select, why_nothing
from .blocks import Fact
from .study_view import StudyView
from .wording import percent, plural, points, sentence, times

USUAL_RATIO = 4.0  # at which compressed networks are usually compared


@dataclass(frozen=True)
class Headline:
    """What stands at the top of the page.

    Attributes:
        name: of the study.
        summary: one sentence.
        remarks: the protocol's sentences, and what is still running.
        facts: key figures; none before the first network that works.
    """

    name: str
    summary: str
    remarks: tuple[str, ...]
    facts: tuple[Fact, ...]


def headline(view: StudyView) -> Headline:
    """The headline of one study."""
    study, table, best = view.study, view.trials, view.front
    clauses = [plural(len(table), "trial")] if len(table) else ["no trial has finished yet"]
    if len(best) > 1:
        low, high = _ends(view)
        clauses.append(f"the front spans {times(low, 1)} to {times(high, 1)}")
    elif len(best) == 1:
        clauses.append("one network is on the front")
    elif len(table):
        failed = ((table["failure"] != "") | (table["stopped"] != "")).all()
        clauses.append("none of them works: see the trials below" if failed else why_nothing(table, study))
    if len(best):
        middle = _usual(view)
        clauses.append(
            f"at {times(middle['compression_ratio'], 1)} accuracy is {percent(middle['accuracy'])} "
            f"against {percent(study.dense.accuracy)} dense"
        )
    return Headline(
        study.name,
        sentence(clauses),
        tuple(text for text in (_open(view), *study.protocol) if text),
        _facts(view) if len(best) else (),
    )


def _usual(view: StudyView) -> pd.Series:
    """The front's most accurate network at 4× or above; in the middle of a front that does not reach around 4×."""
    low, high = _ends(view)
    ratio = USUAL_RATIO if low <= USUAL_RATIO <= high else min(math.sqrt(low * high), high)
    return select(view.front, f"min-ratio={ratio!r}", view.study).iloc[0]


def _ends(view: StudyView) -> tuple[float, float]:
    """Ratios of the most accurate and of the smallest network that can be selected."""
    low, high = (select(view.front, name, view.study).iloc[0] for name in ("best-accuracy", "smallest"))
    return float(low["compression_ratio"]), float(high["compression_ratio"])


def _open(view: StudyView) -> str:
    states = [trial.state for room in view.rooms.values() for trial in room]
    running, waiting = states.count("running"), states.count("waiting")
    if not running:  # what is queued beyond the budget is not waited for
        left = (view.history.budget or view.study.settings.get("search", {}).get("trials", math.inf)) - len(view.trials)
        waiting -= max(0, [t.state for t in view.history.trials].count("waiting") - max(0, left))
    if not running + waiting:
        return ""
    return f"The study is not finished: {running} running, {waiting} waiting when this page was made."


def _facts(view: StudyView) -> tuple[Fact, ...]:
    study, box, middle = view.study, view.study.box, _usual(view)
    return (
        Fact(
            f"{view.trials['hypervolume'].iloc[-1]:.3f}",
            "hypervolume",
            f"of the box {box.ratio_low:g}–{box.ratio_high:g}×, accuracy from {100 * box.accuracy_floor:g} %",
        ),
        Fact(f"{len(view.front)}", "on the front", f"of {plural(len(view.trials), 'trial')}"),
        Fact(
            percent(middle["accuracy"]),
            f"at {times(middle['compression_ratio'], 1)}",
            f"{points(middle['accuracy'] - study.dense.accuracy)} points to dense · trial {middle['number']}",
        ),
        _within_a_point(view),
        *_tested(view),
    )


def _within_a_point(view: StudyView) -> Fact:
    try:
        row = select(view.front, "max-drop=1.0", view.study).iloc[0]
    except SelectionError:
        drop = view.front["accuracy"].max() - view.study.dense.accuracy
        return Fact("none", "within 1 point of dense", f"the best network: {points(drop)} points")
    return Fact(
        times(row["compression_ratio"], 1),
        "within 1 point of dense",
        f"{percent(row['accuracy'])} · trial {row['number']}",
    )


def _tested(view: StudyView) -> Sequence[Fact]:
    """Accuracy of the finalist nearest to the usual ratio, beside the dense control."""
    trained = view.finalists[view.finalists["seeds"] > 0]
    compressed = trained[trained["compression_ratio"] > 1].to_dict("records")
    if not compressed:
        return ()
    row = min(compressed, key=lambda row: abs(math.log(row["compression_ratio"] / USUAL_RATIO)))
    control = row["control_accuracy"]
    beside = "no dense control" if math.isnan(control) else f"dense control {percent(control)}"
    label = f"on {row['split']}, fine-tuned at {times(row['compression_ratio'], 1)}"
    return (Fact(percent(row["accuracy_mean"]), label, f"{plural(row['seeds'], 'seed')} · {beside}"),)

"""The front of a table of trials, and the points of it that are worth taking away."""

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pandas as pd

from ..errors import SelectionError, nearest
from ..pareto import non_dominated
from ..records import StudyRecord

#: Accuracies are counts over images: two that differ by less than this are the same.
EQUAL = 1e-9


def front(table: pd.DataFrame) -> pd.DataFrame:
    """The rows on the front, from the largest network to the smallest."""
    return table[table["on_front"]].sort_values("compression_ratio", kind="stable")


def select(table: pd.DataFrame, selection: str, study: StudyRecord) -> pd.DataFrame:
    """The rows of a trial table that ``selection`` names, one of :data:`SELECTIONS`, as ``"name"`` or ``"name=value"``.

    ``knee``, ``best-accuracy``, ``smallest``, ``all``; ``max-drop=P``: the smallest network at most P percent
    points below the dense accuracy on the same split; ``min-ratio=R``: the most accurate at ratio R or more;
    ``trial=N``: that trial, on the front or not.

    Raises:
        SelectionError: an unknown selection, a missing or needless value, or nothing that fits it; says what exists.
    """
    name, equals, text = selection.partition("=")
    if name not in SELECTIONS:
        raise SelectionError(f"no selection {selection!r}{nearest(name, list(SELECTIONS))}")
    chosen = SELECTIONS[name]
    if bool(equals) != (chosen.example is not None):
        form = f"{name}={chosen.example}" if chosen.example else name
        raise SelectionError(f"selection {selection!r} is written {form!r}")
    try:
        value = float(text) if equals else 0.0
    except ValueError:
        raise SelectionError(
            f"selection {selection!r}: {text!r} is not a number; for example {name}={chosen.example}"
        ) from None
    if table.empty:
        raise SelectionError(f"study {study.name!r}: no finished trial yet to select {selection!r} from; search first")
    if not table["on_front"].any() and name != "trial":
        raise SelectionError(f"study {study.name!r}: {why_nothing(table, study)}")
    return chosen.rows(table, value, study)


def why_nothing(table: pd.DataFrame, study: StudyRecord) -> str:
    """Why no trial of a table is on the front."""
    useful = table[(table["failure"] == "") & (table["stopped"] == "")]
    if useful.empty:
        why = table["failure"].iloc[0] or table["stopped"].iloc[0]
        return f"all {len(table)} trials failed; the first: {why}"
    best = useful.max(numeric_only=True)
    floors = ", ".join(f"{name} ≥ {floor:g} (the best has {best[name]:.2f})" for name, floor in study.floors.items())
    return f"no trial meets all of search.floors: {floors}; give a study of a new name lower ones"


def _worth_having(table: pd.DataFrame, study: StudyRecord) -> pd.DataFrame:
    """The front in accuracy and compression ratio alone, within the study's box where anything is: of further
    objectives a network may be on the front by a hair, and be beaten in both."""
    points = front(table)
    within = points[points["accuracy"] >= study.accuracy_floor]
    points = points if within.empty else within
    return points[non_dominated(points[["accuracy", "compression_ratio"]].to_numpy(float))]


def _knee(table: pd.DataFrame, _: float, study: StudyRecord) -> pd.DataFrame:
    """The point farthest above the chord between the front's ends, in the study's unit box (Das 1999); the largest
    network of equals, as both ends of a front of two are."""
    points = _worth_having(table, study)
    unit = study.box.normalise(points["accuracy"], points["compression_ratio"])
    along = unit[-1] - unit[0]
    # Accuracy falls and ratio rises along the chord: this normal points to more of both, above the chord.
    normal = np.array([along[1], -along[0]])
    return points.iloc[[int(np.argmax(((unit - unit[0]) @ normal).round(9)))]]


def _best_accuracy(table: pd.DataFrame, _: float, study: StudyRecord) -> pd.DataFrame:
    points = _worth_having(table, study)
    return points.iloc[[int(np.argmax(points["accuracy"]))]]


def _smallest(table: pd.DataFrame, _: float, study: StudyRecord) -> pd.DataFrame:
    return _worth_having(table, study).tail(1)


def _all(table: pd.DataFrame, _: float, study: StudyRecord) -> pd.DataFrame:
    return front(table)


def _max_drop(table: pd.DataFrame, points: float, study: StudyRecord) -> pd.DataFrame:
    found, dense = _worth_having(table, study), study.dense.accuracy
    kept = found[found["accuracy"] >= dense - points / 100 - EQUAL]
    if kept.empty:
        best = found["accuracy"].max()
        drop = math.ceil((dense - best) * 1e4 - 1e-5) / 100  # rounded up: the remedy must work
        raise SelectionError(
            f"no trial within {points:g} points of the dense network's {dense:.2%}; "
            f"the best has {best:.2%}: max-drop={drop:g}"
        )
    return kept.tail(1)


def _min_ratio(table: pd.DataFrame, ratio: float, study: StudyRecord) -> pd.DataFrame:
    found = _worth_having(table, study)
    kept = found[found["compression_ratio"] >= ratio]
    if kept.empty:
        largest = math.floor(found["compression_ratio"].max() * 100) / 100
        within = 0 < study.accuracy_floor <= found["accuracy"].max()
        above = f" above the accuracy floor, {study.accuracy_floor:.2%}," if within else ""
        raise SelectionError(
            f"no trial{above} at ratio ≥ {ratio:g}; the smallest network reaches {largest:g}: min-ratio={largest:g}"
        )
    return kept.iloc[[int(np.argmax(kept["accuracy"]))]]


def _trial(table: pd.DataFrame, number: float, study: StudyRecord) -> pd.DataFrame:
    row = table[table["number"] == number]
    if row.empty:
        some = ", ".join(map(str, sorted(table["number"])[:10])) + (" …" if len(table) > 10 else "")
        raise SelectionError(
            f"study {study.name!r}: no trial {number:g} with a measurement of its own; there are {some}"
        )
    if row["failure"].iloc[0]:
        raise SelectionError(f"study {study.name!r}: trial {number:g} failed: {row['failure'].iloc[0]}; choose another")
    if row["stopped"].iloc[0]:
        raise SelectionError(
            f"study {study.name!r}: trial {number:g} was stopped {row['stopped'].iloc[0]}, and not measured; "
            "choose another"
        )
    return row


@dataclass(frozen=True)
class Selection:
    """A way to choose rows of a trial table; ``example`` shows the value it takes, None where it takes none."""

    rows: Callable[[pd.DataFrame, float, StudyRecord], pd.DataFrame]
    meaning: str
    example: str | None = None


SELECTIONS: dict[str, Selection] = {
    "knee": Selection(_knee, "where the front bends most"),
    "best-accuracy": Selection(_best_accuracy, "the most accurate network of the front"),
    "smallest": Selection(_smallest, "the smallest network of the front above the accuracy floor"),
    "max-drop": Selection(_max_drop, "the smallest network at most so many points below the dense accuracy", "1.0"),
    "min-ratio": Selection(_min_ratio, "the most accurate network at this compression ratio or above", "4"),
    "trial": Selection(_trial, "the trial of this number, on the front or not", "17"),
    "all": Selection(_all, "every network of the front"),
}

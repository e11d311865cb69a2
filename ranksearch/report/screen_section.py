"""The section on the cheap stages: what was screened at what cost, and how well each foretells the trained networks."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from ..front import StageComparison
from ..front.stage_comparison import ENOUGH
from ..front.stages import FEWEST
from .blocks import Block, Chart, Column, Section, Table, Text, per_study
from .palette import study_colour
from .screen_figure import screen_data, screen_figure
from .study_view import StudyView
from .wording import duration, percent, plural, sentence

#: which trials → what they are called
TRIALS = {"all": "all", "sampler": "bypassed the screen"}

READING = (
    "Spearman's ρ between what a cheap stage says of a configuration and what its trial reached, with 95 % "
    "intervals; positive where the orders agree. At equal size: given log2 of the compression ratio (partial "
    "rank correlation). precision@k: share of the k configurations that a stage puts first which are also first "
    "in accuracy after training, beside what chance would give. Trials differ in their training settings too, "
    f"which no cheap stage sees. “too few” below {FEWEST}."
)


def screen_section(views: Sequence[StudyView]) -> Section:
    """Screened candidates and rank correlations, of each study that has them."""

    def blocks(view: StudyView, place: int) -> Sequence[Block]:
        found: list[Block] = [Text(shared_training(view))] if view.history.elastic else []
        if screen_data(view).points:
            found += [Text(screened(view)), _chart(view, place)]
        if len(view.stages):
            found += [agreement_table(view), Text(READING)]
        if view.comparison and view.comparison.n >= FEWEST:
            found.append(Text(compared(view.comparison)))
        return tuple(found)

    return Section("screen", "Cheap stages", per_study(views, blocks))


def shared_training(view: StudyView) -> str:
    """What the elastic adapter cost beside the trials, or why there is none."""
    elastic = view.history.elastic
    assert elastic is not None
    if elastic.off:
        return f"Elastic adapter: off, {elastic.off}; trials start from the decomposition."
    share = elastic.images / max(1, view.trials["images"].sum())
    return (
        f"Elastic adapter: {elastic.steps:,} steps of {plural(elastic.slices, 'slice')} in "
        f"{duration(elastic.seconds)}, {elastic.images:,} images, {percent(share, 0)} of what the trials saw; trials "
        "start from its slices."
    )


def screened(view: StudyView) -> str:
    """What the screen looked at, and what it cost."""
    clauses = []
    for stage in dict.fromkeys(c.stage for c in view.history.screen):
        seconds = [c.seconds for c in view.history.screen if c.stage == stage]
        rate = len(seconds) / sum(seconds) if sum(seconds) else 0.0
        clauses.append(
            f"{plural(len(seconds), 'candidate')} {stage} in {duration(sum(seconds))} ({rate:.1f} per second)"
        )
    taken = int((view.trials["origin"] == "screen").sum())
    return sentence([*clauses, f"{plural(taken, 'trained network')} of {len(view.trials)} came from the screen"])


def compared(found: StageComparison) -> str:
    """What the paired bootstrap says of the order of stages, and what follows from it."""
    told = (
        f"At equal size, ρ of the {found.last} distance less ρ of the {found.first} one: "
        f"{_with_interval(found.difference, found.low, found.high)} by a paired bootstrap over "
        f"{plural(found.n, 'trained network')}"
    )
    if found.better == found.first:
        return f'{told}. The last stage ranks worse here: screen.stages = ["{found.last}", "{found.first}"] is better.'
    if found.better == found.last:
        return f"{told}: the last stage is rightly the last."
    why = f"fewer than {ENOUGH} decide nothing" if found.n < ENOUGH else "neither is shown to rank better"
    return f"{told}: {why}."


def _chart(view: StudyView, place: int) -> Chart:
    return Chart(
        f"screen-{place}",
        screen_figure(screen_data(view), study_colour(place)),
        "Compression ratio and distance from the dense network's outputs of every screened candidate.",
        "Candidates by their cheap stage, no training of their own; trained networks after their trial, on the whole "
        "search split.",
        height=400,
    )


def agreement_table(view: StudyView) -> Table:
    """Rank correlations between cheap stages and trained networks, with intervals."""
    columns = (
        Column("stage"),
        Column("ranked by"),
        Column("trials"),
        Column("n", "number"),
        Column("ρ with accuracy", "number"),
        Column("at equal size", "number"),
        Column("ρ with distance", "number"),
        Column("at equal size", "number"),
        Column("precision@k", "number"),
        Column("at equal size", "number"),
    )
    return Table(
        columns,
        tuple(_row(row) for row in view.stages.to_dict("records")),
    )


def _row(row: Mapping[Any, Any]) -> tuple[str, ...]:
    names = ("accuracy/any", "accuracy/equal", "distance/any", "distance/equal")
    few = row["n"] < FEWEST
    correlations = [
        "too few" if few else _with_interval(*(row[name + end] for end in ("", "/low", "/high"))) for name in names
    ]
    chance = f"{row['k'] / row['n']:.2f}" if row["n"] else ""
    precisions = [
        "too few" if few else f"{row[f'precision/{size}']:.2f} (k = {row['k']:.0f}, chance {chance})"
        for size in ("any", "equal")
    ]
    return str(row["stage"]), str(row["score"]), TRIALS[row["trials"]], f"{row['n']:.0f}", *correlations, *precisions


def _with_interval(value: float, low: float, high: float) -> str:
    """
    >>> _with_interval(0.7312, 0.41, 0.89), _with_interval(-0.2, -0.6, math.nan)
    ('0.73 (0.41 … 0.89)', '−0.20')
    """
    if math.isnan(value):
        return "–"
    told = f"{value:.2f}" if math.isnan(low) or math.isnan(high) else f"{value:.2f} ({low:.2f} … {high:.2f})"
    return told.replace("-", "−")

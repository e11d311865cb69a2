"""The section on variables: how much each matters for reaching the front and for each objective."""

from collections.abc import Sequence
from dataclasses import dataclass

import plotly.graph_objects as go

from ..records.study_record import IMPORTANCE_TRIALS
from .blocks import Block, Chart, Choice, Section, Text, per_study
from .canvas import canvas
from .palette import light, study_colour
from .study_view import StudyView
from .wording import percent, plotly_text, plural

MOST = 14  # bars
#: objective → what a choice calls it
TARGETS = {"front": "the front", "compression_ratio": "compression ratio", "mac_ratio": "MAC ratio"}

READING = (
    "Optuna's PED-ANOVA: how far the best tenth of the trials differ from all in one variable alone, as shares. "
    "The largest networks are the most accurate ones, so the ratio may lead for either objective: look at the others."
)


@dataclass(frozen=True)
class Bars:
    """Importances for one target, the largest first; the last bar sums the others where there are more."""

    target: str
    names: tuple[str, ...]
    shares: tuple[float, ...]


def importance_bars(view: StudyView) -> tuple[Bars, ...]:
    """The bars of each target; none where importances were not estimated."""
    found = []
    for target, shares in view.history.importances.items():
        ranked = sorted(shares.items(), key=lambda item: -item[1])
        shown, rest = (ranked, []) if len(ranked) <= MOST else (ranked[: MOST - 1], ranked[MOST - 1 :])
        named = [*shown, *([(plural(len(rest), "other"), sum(share for _, share in rest))] if rest else [])]
        found.append(Bars(target, tuple(name for name, _ in named), tuple(share for _, share in named)))
    return tuple(found)


def importance_section(views: Sequence[StudyView]) -> Section:
    """A chart per study, with a choice of the target."""

    def blocks(view: StudyView, place: int) -> Sequence[Block]:
        bars = importance_bars(view)
        if not bars:
            works = int(((view.trials["failure"] == "") & (view.trials["stopped"] == "")).sum())
            few = f"{plural(works, 'trial')} to estimate importances from: too few, they take {IMPORTANCE_TRIALS}."
            return (Text(few),) if 0 < works < IMPORTANCE_TRIALS else ()
        figure, choices = importance_figure(bars, study_colour(place))
        return (
            Chart(
                f"importances-{place}",
                figure,
                "Importance of each variable, in percent.",
                READING,
                height=70 + 24 * len(bars[0].names),
                width=760,
                choices=choices,
            ),
        )

    return Section("importances", "What matters", per_study(views, blocks))


def importance_figure(targets: Sequence[Bars], colour: str) -> tuple[go.Figure, tuple[Choice, ...]]:
    """Horizontal bars, the most important variable on top, and a choice of the target."""
    figure, first = canvas("", ""), _drawn(targets[0])
    figure.add_bar(**first, orientation="h", marker_color=colour, textposition="outside", hoverinfo="skip")
    figure.update_traces(textfont_color=light("muted"), cliponaxis=False, width=0.66)
    figure.update_xaxes(tickformat=".0%", rangemode="tozero", ticks="", showticklabels=False, showgrid=False)
    figure.update_yaxes(autorange="reversed", ticks="", showgrid=False, type="category", showline=False)
    figure.update_layout(margin_r=56, yaxis_ticklabelstandoff=6)
    return figure, tuple(
        Choice(TARGETS.get(bars.target, bars.target), {key: [value] for key, value in _drawn(bars).items()})
        for bars in targets
    )


def _drawn(bars: Bars) -> dict[str, list[float] | list[str]]:
    return {
        "x": list(bars.shares),
        "y": [plotly_text(name) for name in bars.names],
        "text": [percent(share, 0 if share >= 0.1 else 1) for share in bars.shares],
    }

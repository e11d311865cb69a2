"""The screen's candidates in the plane of compression ratio and distance, beside the networks that were trained."""

from dataclasses import dataclass

import plotly.graph_objects as go

from .canvas import canvas, ratio_axis
from .palette import BASELINES, light
from .study_view import StudyView

LEAST = 1e-6  # the axis is logarithmic

#: what is drawn → its name in the legend and its colour; "trained" takes the study's
MARKS = {
    "untrained": ("screened, untrained", light("faint")),
    "elastic": ("screened, elastic", BASELINES["energy"][0][0]),
}


@dataclass(frozen=True)
class ScreenData:
    """Compression ratios and distances by what was looked at: a cheap stage, or ``"trained"`` networks."""

    points: dict[str, tuple[tuple[float, ...], tuple[float, ...]]]


def screen_data(view: StudyView) -> ScreenData:
    """What the figure shows; nothing where nothing was screened."""
    points = {}
    for stage in MARKS:
        found = [c for c in view.history.screen if c.stage == stage and c.distance is not None]
        if found:
            points[stage] = tuple(c.compression_ratio for c in found), tuple(max(c.distance or 0, LEAST) for c in found)
    if points:
        trained = view.trials[(view.trials["failure"] == "") & (view.trials["stopped"] == "")].dropna(subset="distance")
        points["trained"] = tuple(trained["compression_ratio"]), tuple(trained["distance"].clip(lower=LEAST))
    return ScreenData(points)


def screen_figure(data: ScreenData, colour: str) -> go.Figure:
    """Each candidate a dot, trained networks in the study's ``colour``."""
    figure = canvas("compression ratio", "distance from the dense outputs")
    for name, (ratios, distances) in data.points.items():
        title, own = MARKS.get(name, ("trained", colour))
        marker = {"size": 9 if name == "trained" else 4, "color": own, "opacity": 1.0 if name == "trained" else 0.6}
        figure.add_scatter(
            x=ratios,
            y=distances,
            mode="markers",
            marker=marker,
            name=title,
            showlegend=bool(ratios),
            hovertemplate="%{y:.3g} at %{x:.2f}×<extra>" + title + "</extra>",
        )
    every = [ratio for ratios, _ in data.points.values() for ratio in ratios]
    figure.update_xaxes(**ratio_axis(min(every) / 1.05, max(every) * 1.05))
    figure.update_yaxes(type="log")
    return figure

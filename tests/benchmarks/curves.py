"""A benchmark's picture: curves over the compression ratio, as a page to look at or to take a screenshot of."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import plotly.graph_objects as go

from ranksearch.report.canvas import canvas, ratio_axis
from ranksearch.report.palette import STUDIES


def write_curves(path: Path, y_title: str, curves: Mapping[str, Mapping[float, float]]) -> None:
    """Writes an HTML page with one curve per name: compression ratio → value."""
    figure = canvas("compression ratio", y_title)
    for place, (name, curve) in enumerate(curves.items()):
        x = sorted(curve)
        figure.add_scatter(x=x, y=[curve[at] for at in x], name=name, mode="lines+markers", line=line_of(place))
    ratios = [at for curve in curves.values() for at in curve]
    figure.update_layout(xaxis=ratio_axis(0.95 * min(ratios), 1.05 * max(ratios)))
    write_page(path, figure)


def line_of(place: int) -> dict[str, str]:
    """Colours that repeat with dashes."""
    dashes: Sequence[str] = ("solid", "dash", "dot")
    return {"color": STUDIES[place % len(STUDIES)][0], "dash": dashes[place // len(STUDIES) % len(dashes)]}


def write_page(path: Path, figure: go.Figure) -> None:
    """One figure as a page of its own, with room for a legend below."""
    figure.update_layout(width=900, height=620, margin={"b": 110})
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.write_html(path, include_plotlyjs=True, config={"displayModeBar": False})

"""A benchmark's picture: curves over the compression ratio, as a page to look at or to take a screenshot of."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from ranksearch.report.canvas import canvas, ratio_axis
from ranksearch.report.palette import STUDIES


def write_curves(path: Path, y_title: str, curves: Mapping[str, Mapping[float, float]]) -> None:
    """Writes an HTML page with one curve per name: compression ratio → value. Colours repeat with dashes."""
    figure = canvas("compression ratio", y_title)
    dashes: Sequence[str] = ("solid", "dash", "dot")
    for place, (name, curve) in enumerate(curves.items()):
        x = sorted(curve)
        line = {"color": STUDIES[place % len(STUDIES)][0], "dash": dashes[place // len(STUDIES) % len(dashes)]}
        figure.add_scatter(x=x, y=[curve[at] for at in x], name=name, mode="lines+markers", line=line)
    ratios = [at for curve in curves.values() for at in curve]
    figure.update_layout(width=900, height=620, xaxis=ratio_axis(0.95 * min(ratios), 1.05 * max(ratios)))
    figure.update_layout(margin={"b": 110})
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.write_html(path, include_plotlyjs=True, config={"displayModeBar": False})

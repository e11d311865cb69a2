"""The picture of the front: accuracy against compression ratio, with everything a study knows beside it."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import plotly.graph_objects as go

from ..records import StudyHistory
from .canvas import canvas, ratio_axis
from .front_data import FrontData, Point, Points, dominated, front_data
from .palette import baseline_style, light, study_colour
from .study_view import StudyView
from .wording import plotly_text

MANY = 400  # trials from which they are drawn fainter
CROWDED = 50  # points from which a front is drawn with smaller ones


def front_figure(histories: Sequence[StudyHistory]) -> go.Figure:
    """The front of one study, or of several overlaid by colour; stands alone in a notebook.

    Accuracy is on the search split, that of finalists on the test split.
    """
    return draw_front([front_data(StudyView(history)) for history in histories])


def draw_front(data: Sequence[FrontData]) -> go.Figure:
    """The figure of :func:`front_figure`, from its data."""
    figure = canvas("compression ratio, log2", "accuracy, %")
    if len(data) == 1:
        figure.add_traces([trace.update(name=kind) for kind, trace in _traces(data[0], study_colour(0), alone=True)])
        _shade(figure, data[0], study_colour(0))
    else:
        _overlay(figure, data)
    for box in dict.fromkeys(d.box for d in data):
        figure.add_shape(
            type="rect",
            x0=box.ratio_low,
            x1=box.ratio_high,
            y0=100 * box.accuracy_floor,
            y1=100,
            line={"color": light("faint"), "width": 1, "dash": "dot"},
            layer="below",
        )
    low, high = min([1.0, *(d.box.ratio_low for d in data)]), max([2.0, *(d.box.ratio_high for d in data)])
    bottom = min((d.bottom for d in data), default=0.0)
    top = max((p.accuracy + p.spread for d in data for p in (*d.searched, *d.finalists)), default=bottom)
    top = max([top, *(d.dense for d in data), bottom + 1])
    figure.update_xaxes(ratio_axis(low / 1.06, high * 1.09))
    figure.update_yaxes(range=[bottom - 0.03 * (top - bottom), top + 0.07 * (top - bottom)])
    return figure


def _overlay(figure: go.Figure, data: Sequence[FrontData]) -> None:
    """Several studies: the legend names the colours by study, then the markers by kind."""
    kinds: dict[str, go.Scatter] = {}
    for place, study in enumerate(data):
        for kind, trace in _traces(study, study_colour(place), alone=False):
            shown = kind == "front"
            group = f"study {place}"
            figure.add_trace(trace.update(name=plotly_text(study.study), legendgroup=group, showlegend=shown))
            if trace.x and not shown:
                kinds.setdefault(kind, go.Scatter(trace))
    for kind, trace in kinds.items():
        trace.update(x=[None], y=[None], error_y=None, name=kind, legendgroup=None, showlegend=True)
        figure.add_trace(trace.update(marker_color=light("muted"), line_color=light("muted")))


def _traces(data: FrontData, colour: str, alone: bool) -> Iterator[tuple[str, go.Scatter]]:
    """Every kind of point with its name, from the faintest to what matters most; one colour unless it stands alone."""
    ring = {"color": light("paper"), "width": 1}
    opacity = 0.35 if len(data.others) < MANY else 0.15
    yield (
        "trials",
        _scatter(
            data.others,
            2,
            mode="markers",
            marker={"size": 7, "color": colour, "opacity": opacity},
        ),
    )
    yield (
        "stopped",
        _scatter(
            data.stopped,
            2,
            mode="markers",
            marker={"size": 6, "symbol": "x-thin", "line": {"width": 1, "color": colour}, "opacity": opacity},
        ),
    )
    shade = light("faint") if alone else colour
    yield (
        "untrained",
        _scatter(
            data.closed_form,
            4,
            line={"color": light("faint"), "width": 1, "dash": "dot"},
            marker={"size": 6, "symbol": "circle-open", "color": shade},
        ),
    )
    for name, rows in data.baselines.items():
        own_colour, symbol = baseline_style(name)
        shade = own_colour if alone else colour
        yield (
            plotly_text(name),
            _scatter(
                rows,
                3,
                line={"color": shade, "width": 1, "dash": "dot"},
                marker={"size": 10, "symbol": symbol, "color": shade, "line": ring},
            ),
        )
    shade = light("muted") if alone else colour
    dense = Point(1.0, data.dense, f"<b>dense network</b><br>{data.dense:.2f} %")
    yield (
        f"dense {data.dense:.1f} %" if alone else "dense",
        _scatter(
            (dense, replace(dense, ratio=2 * data.box.ratio_high)),
            6,
            line={"color": shade, "width": 1, "dash": "dash"},
            marker={"size": 11, "symbol": "circle-open", "color": shade, "line": {"width": 2}},
        ),
    )
    yield (
        "front",
        _scatter(
            data.front,
            1,
            mode="lines+markers" if data.staircase else "markers",
            line={"color": colour, "width": 2.5, "shape": "vh"},  # between two points, the smaller is the best known
            marker={"size": 11 if len(data.front) < CROWDED else 7, "color": colour, "line": ring},
        ),
    )
    shade = light("ink") if alone else colour
    yield (
        "fine-tuned, test",
        _scatter(
            data.finalists,
            5,
            mode="markers",
            error_y={"array": [p.spread for p in data.finalists], "color": shade, "thickness": 1.2, "width": 4},
            marker={"size": 13, "symbol": "star", "color": shade, "line": ring},
        ),
    )


def _scatter(rows: Points, rank: int, mode: str = "lines+markers", **style: Any) -> go.Scatter:
    """Points as a trace, ``rank``-th in the legend, absent there when empty."""
    return go.Scatter(
        x=[p.ratio for p in rows],
        y=[p.accuracy for p in rows],
        hovertext=[p.hover for p in rows],
        hoverinfo="text",
        legendrank=rank,
        showlegend=bool(rows),
        mode=mode,
        **style,
    )


def _shade(figure: go.Figure, data: FrontData, colour: str) -> None:
    """The part of the box that the front dominates."""
    if not (data.front and data.staircase):
        return
    x, y = dominated(data)
    path = "M" + "L".join(f"{a},{b}" for a, b in zip(x, y, strict=True)) + "Z"
    figure.add_shape(type="path", path=path, fillcolor=colour, opacity=0.09, line_width=0, layer="below")

"""The picture of the front: accuracy against compression ratio, with everything a study knows beside it."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import partial
from itertools import chain
from typing import Any

import plotly.graph_objects as go

from ..records import StudyHistory
from .blocks import Choice
from .canvas import canvas, ratio_axis
from .front_data import RATIOS, FrontData, Point, Points, dominated, front_data
from .palette import baseline_style, light, study_colour
from .study_view import StudyView
from .wording import plotly_text

#: ratio → the axis's title, and the choice's label where it is not the study's own
AXES = {
    "compression_ratio": "compression ratio, log2",
    "compression_ratio_pivoted": "compression ratio by the pivoted count, log2",
    "compression_ratio_plain": "compression ratio by the plain count, log2",
    "mac_ratio": "MAC ratio, log2",
    "latency_ratio": "latency of the dense network / latency, log2",
}
LABELS = {
    "compression_ratio_pivoted": "pivoted",
    "compression_ratio_plain": "plain",
    "mac_ratio": "MACs",
    "latency_ratio": "latency",
}
ACROSS = ("range", "tickvals", "ticktext", "uirevision")  # what of the axis depends on the ratio
RING = "picked"

MANY = 400  # trials from which they are drawn fainter
CROWDED = 50  # points from which a front is drawn with smaller ones


def front_figure(histories: Sequence[StudyHistory]) -> go.Figure:
    """The front of one study, or of several overlaid by colour; stands alone in a notebook.

    Accuracy is on the search split, that of finalists on the test split.
    """
    return draw_front([front_data(StudyView(history)) for history in histories])


def draw_front(data: Sequence[FrontData], axis: str = RATIOS[0]) -> go.Figure:
    """The figure of :func:`front_figure`, from its data, against the ratio ``axis``.

    The box, the line of the front and what it dominates are drawn against the study's own count, which defines them.
    """
    figure = canvas(AXES[axis], "accuracy, %")
    own = axis == RATIOS[0]
    if len(data) == 1:
        traces = _traces(data[0], axis, 0, alone=True)
        figure.add_traces([trace.update(name=kind) for kind, trace in traces])
    else:
        _overlay(figure, data, axis)
    if own and len(data) == 1:
        _shade(figure, data[0], study_colour(0))
    for box in dict.fromkeys(d.box for d in data) if own else ():
        figure.add_shape(
            type="rect",
            x0=box.ratio_low,
            x1=box.ratio_high,
            y0=100 * box.accuracy_floor,
            y1=100,
            line={"color": light("faint"), "width": 1, "dash": "dot"},
            layer="below",
        )
    figure.add_shape(_ring())
    low, high = _span(data, axis)
    bottom = min((d.bottom for d in data), default=0.0)
    top = max((p.accuracy + p.spread for d in data for p in (*d.searched, *d.finalists, *d.published)), default=bottom)
    top = max([top, *(d.dense for d in data), bottom + 1])
    figure.update_xaxes(ratio_axis(low / 1.06, high * 1.09), uirevision=axis)
    figure.update_yaxes(range=[bottom - 0.03 * (top - bottom), top + 0.07 * (top - bottom)])
    return figure


def axis_choices(data: Sequence[FrontData]) -> tuple[Choice, ...]:
    """The figure against each of its ratios, as what changes in it; the first is the figure itself."""
    forms = {d.form for d in data}
    labels = LABELS | {RATIOS[0]: forms.pop() if len(forms) == 1 else "own count"}
    known = {axis for d in data for point in d.searched for axis in point.ratios}
    others = [axis for axis in RATIOS[1:] if axis in known and labels[axis] != labels[RATIOS[0]]]
    choices = []
    for axis in (RATIOS[0], *others):
        figure = draw_front(data, axis).to_dict()
        across = {f"xaxis.{key}": value for key, value in figure["layout"]["xaxis"].items() if key in ACROSS}
        traces = {key: [trace.get(key) for trace in figure["data"]] for key in ("x", "mode")}
        shapes = {"shapes": figure["layout"].get("shapes", [])}
        choices.append(Choice(labels[axis], traces, across | {"xaxis.title.text": AXES[axis]} | shapes))
    return tuple(choices)


def _span(data: Sequence[FrontData], axis: str) -> tuple[float, float]:
    """The ratios that the axis shows: the boxes, or where these do not count what the networks have, from 1 on."""
    if axis.startswith("compression_ratio"):
        return min([1.0, *(d.box.ratio_low for d in data)]), max([2.0, *(d.box.ratio_high for d in data)])
    networks = chain.from_iterable((*d.front, *d.finalists, *chain(*d.baselines.values())) for d in data)
    found = [point.ratios[axis] for point in networks if axis in point.ratios]
    return min([1.0, *found]), max([2.0, *found])


def _ring() -> dict[str, Any]:
    """Around the point that is picked in the page; nothing is at first. A shape moves without drawing all points."""
    # a circle of 11 pixels by four cubic curves: Plotly's own comes out as an ellipse on a logarithmic axis
    path = "M11,0C11,6.1 6.1,11 0,11C-6.1,11 -11,6.1 -11,0C-11,-6.1 -6.1,-11 0,-11C6.1,-11 11,-6.1 11,0Z"
    place = {"xsizemode": "pixel", "ysizemode": "pixel", "xanchor": 1, "yanchor": 0, "visible": False}
    return {"type": "path", "path": path, "name": RING, "line": {"color": light("ink"), "width": 2}, **place}


def _overlay(figure: go.Figure, data: Sequence[FrontData], axis: str) -> None:
    """Several studies: the legend names the colours by study, then the markers by kind."""
    kinds: dict[str, go.Scatter] = {}
    for place, study in enumerate(data):
        for kind, trace in _traces(study, axis, place, alone=False):
            shown = kind == "front"
            group = f"study {place}"
            figure.add_trace(trace.update(name=plotly_text(study.study), legendgroup=group, showlegend=shown))
            if trace.x and not shown:
                kinds.setdefault(kind, go.Scatter(trace))
    for kind, trace in kinds.items():
        trace.update(
            x=[None], y=[None], text=None, customdata=None, error_y=None, name=kind, legendgroup=None, showlegend=True
        )
        figure.add_trace(trace.update(marker_color=light("muted"), line_color=light("muted")))


def _traces(data: FrontData, axis: str, place: int, alone: bool) -> Iterator[tuple[str, go.Scatter]]:
    """Every kind of point with its name, from the faintest to what matters most; one colour unless it stands alone."""
    colour, scatter = study_colour(place), partial(_scatter, axis, place)
    ring = {"color": light("paper"), "width": 1}
    opacity = 0.35 if len(data.others) < MANY else 0.15
    # of the front, and of the untrained: of two marks at one place Plotly picks the smaller, of equal ones the later
    size = 11 if len(data.front) < CROWDED else 7
    yield (
        "trials",
        scatter(
            data.others,
            2,
            mode="markers",
            marker={"size": 7, "color": colour, "opacity": opacity},
        ),
    )
    yield (
        "stopped",
        scatter(
            data.stopped,
            2,
            mode="markers",
            marker={"size": 6, "symbol": "x-thin", "line": {"width": 1, "color": colour}, "opacity": opacity},
        ),
    )
    shade = light("faint") if alone else colour
    yield (
        "untrained",
        scatter(
            data.closed_form,
            4,
            line={"color": light("faint"), "width": 1, "dash": "dot"},
            marker={"size": size, "symbol": "circle-open", "color": shade},
        ),
    )
    for name, rows in data.baselines.items():
        own_colour, symbol = baseline_style(name)
        shade = own_colour if alone else colour
        yield (
            plotly_text(name),
            scatter(
                rows,
                3,
                line={"color": shade, "width": 1, "dash": "dot"},
                marker={"size": 10, "symbol": symbol, "color": shade, "line": ring},
            ),
        )
    shade = light("muted") if alone else colour
    dense = Point(dict.fromkeys(RATIOS, 1.0), data.dense, f"<b>dense network</b><br>{data.dense:.2f} %")
    yield (
        f"dense {data.dense:.1f} %" if alone else "dense",
        scatter(
            (dense, replace(dense, ratios=dict.fromkeys(RATIOS, 2 * data.box.ratio_high), hover="")),
            6,
            line={"color": shade, "width": 1, "dash": "dash"},
            marker={
                "size": 11,
                "symbol": "circle-open",
                "color": shade,
                "line": {"width": 2},
                "opacity": [1, 0],  # the far end is no network
            },
        ),
    )
    yield (
        "front",
        scatter(
            data.front,
            1,
            mode="lines+markers" if data.staircase and axis == RATIOS[0] else "markers",
            line={"color": colour, "width": 2.5, "shape": "vh"},  # between two points, the smaller is the best known
            marker={"size": size, "color": colour, "line": ring},
        ),
    )
    shade = light("ink") if alone else colour
    yield (
        "fine-tuned, test",
        scatter(
            data.finalists,
            5,
            mode="markers",
            error_y={"array": [p.spread for p in data.finalists], "color": shade, "thickness": 1.2, "width": 4},
            marker={"size": 13, "symbol": "star", "color": shade, "line": ring},
        ),
    )
    shade = light("muted") if alone else colour
    yield (
        "published, test",
        scatter(
            data.published,
            7,
            mode="markers+text",
            text=[p.label for p in data.published],
            textposition="bottom center",
            textfont={"size": 11, "color": shade},
            marker={"size": 8, "symbol": "diamond-tall-open", "color": shade, "line": {"width": 1.5}},
        ),
    )


def _scatter(axis: str, place: int, rows: Points, rank: int, mode: str = "lines+markers", **style: Any) -> go.Scatter:
    """Points of the page's study number ``place`` as a trace, ``rank``-th in the legend, absent there when empty."""
    return go.Scatter(
        x=[p.ratios.get(axis) for p in rows],
        y=[p.accuracy for p in rows],
        customdata=[f"{place}/{p.key}" if p.key else "" for p in rows],
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

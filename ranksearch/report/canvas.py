"""An empty figure in the report's style, and the axes that several figures share."""

import math
from typing import Any

import plotly.graph_objects as go

from .palette import FONT, light


def canvas(x_title: str, y_title: str) -> go.Figure:
    """A figure without traces; colours are the light page's."""
    axis: dict[str, Any] = {
        "gridcolor": light("rule"),
        "linecolor": light("faint"),
        "zeroline": False,
        "ticks": "outside",
        "tickcolor": light("faint"),
        "tickfont": {"color": light("muted"), "size": 12},
        "title": {"font": {"color": light("muted"), "size": 13}, "standoff": 10},
        "automargin": True,
        "fixedrange": False,
    }
    figure = go.Figure(layout={"template": go.layout.Template()})
    figure.update_layout(
        font={"family": FONT, "size": 13, "color": light("ink")},
        paper_bgcolor=light("paper"),
        plot_bgcolor=light("paper"),
        margin={"l": 12, "r": 12, "t": 12, "b": 12},
        xaxis=axis,
        yaxis=axis,
        xaxis_title_text=x_title,
        yaxis_title_text=y_title,
        hoverlabel={
            "bgcolor": light("panel"),
            "bordercolor": light("faint"),
            "font": {"family": FONT, "size": 12.5, "color": light("ink")},
            "align": "left",
        },
        legend={
            "orientation": "h",
            "yref": "container",
            "yanchor": "bottom",
            "y": 0,
            "xref": "container",
            "xanchor": "center",
            "x": 0.5,
            "bgcolor": "rgba(0,0,0,0)",
            "font": {"size": 12.5},
            "itemsizing": "trace",
        },
        modebar={"bgcolor": "rgba(0,0,0,0)", "color": light("faint"), "activecolor": light("ink")},
        hovermode="closest",
        uirevision="kept",  # zoom and hidden traces survive a change of colours
    )
    return figure


def ratio_axis(low: float, high: float) -> dict[str, Any]:
    """A log2 axis of compression ratios over ``[low, high]``, with a tick per octave, two where there is room."""
    octaves = range(math.floor(math.log2(low)) - 1, math.ceil(math.log2(high)) + 1)
    steps = (1.0, 1.5) if math.log2(high / low) <= 5 else (1.0,)
    ticks = [2.0**octave * step for octave in octaves for step in steps]
    return {
        "type": "log",
        "range": [math.log10(low), math.log10(high)],
        "tickvals": ticks,
        "ticktext": [f"{tick:g}×" for tick in ticks],
        "minor": {"ticks": ""},
    }

"""Axes that figures share."""

import math

import plotly.graph_objects as go
import pytest

from ranksearch.report.canvas import canvas, ratio_axis


@pytest.mark.parametrize(("low", "high"), [(0.95, 8.7), (1, 2), (1.5, 700), (0.3, 1.2)])
def test_ratio_ticks_are_octaves_over_the_whole_axis(low: float, high: float) -> None:
    axis = ratio_axis(low, high)
    inside = [tick for tick in axis["tickvals"] if low <= tick <= high]
    octaves = [tick for tick in inside if math.log2(tick).is_integer()]
    assert axis["range"] == pytest.approx([math.log10(low), math.log10(high)])
    assert len(octaves) >= math.floor(math.log2(high / low))
    assert len(inside) <= 14
    assert [float(text.removesuffix("×")) for text in axis["ticktext"]] == pytest.approx(axis["tickvals"], rel=1e-5)
    go.Figure().update_xaxes(axis)  # Plotly refuses what it does not know


def test_an_empty_canvas_has_no_traces() -> None:
    figure = canvas("across", "up")
    assert not figure.data
    assert (figure.layout.xaxis.title.text, figure.layout.yaxis.title.text) == ("across", "up")

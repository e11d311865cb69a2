"""The ranks along the front: every mode of every layer, as a fraction of its full rank."""

from dataclasses import dataclass

import numpy as np
import plotly.graph_objects as go
from numpy.typing import NDArray

from ..layers import full_ranks
from ..layers.configuration import Dense, as_tuple
from .canvas import canvas
from .palette import RAMP, light
from .study_view import StudyView
from .wording import percent, plotly_text, times

READABLE = 36  # columns up to which cells have room for a number
MODES = {"rank_out": "out", "rank_in": "in", "rank": "rank"}


@dataclass(frozen=True)
class RankMap:
    """A map of ranks, rows = modes of layers in the network's order, columns = trials of the front.

    Attributes:
        rows: layer and mode.
        columns: compression ratio and trial, from the largest network to the smallest.
        fraction: rank / full rank, ``(rows, columns)``, in (0, 1]; 1 where the layer is dense.
        rank: what is written in a cell: the rank, nothing where the layer is dense.
        hover: the rank of its largest legal value, or why the layer is dense.
    """

    rows: tuple[str, ...]
    columns: tuple[str, ...]
    fraction: NDArray[np.float64]
    rank: tuple[tuple[str, ...], ...]
    hover: tuple[tuple[str, ...], ...]


def rank_map(view: StudyView) -> RankMap:
    """The ranks of the front's trials."""
    table, network = view.front, view.study.network
    configurations = {t.number: t.record.configuration for t in view.history.trials if t.record}
    columns = [f"{times(r, 1)} #{n}" for r, n in zip(table["compression_ratio"], table["number"], strict=True)]
    rows, fraction, written, hover = [], [], [], []
    for spec in network.layers:
        for mode, (name, full) in enumerate(zip(spec.modes, full_ranks(spec), strict=True)):
            rows.append(f"{spec.name} {MODES[name]}")
            cells = [configurations[n][spec.name] for n in table["number"]]
            ranks = [None if isinstance(cell, Dense) else as_tuple(cell)[mode] for cell in cells]
            fraction.append([1.0 if rank is None else rank / full for rank in ranks])
            written.append(tuple("" if rank is None else str(rank) for rank in ranks))
            hover.append(
                tuple(
                    f"<b>{plotly_text(spec.name)}</b>, {name}<br>{column}<br>"
                    + (f"dense: {plotly_text(cell.reason)}" if isinstance(cell, Dense) else "")
                    + (f"{rank} of {full} ({percent(rank / full, 0)})" if rank is not None else "")
                    for column, cell, rank in zip(columns, cells, ranks, strict=True)
                )
            )
    shape = (len(rows), len(columns))
    return RankMap(
        tuple(rows), tuple(columns), np.asarray(fraction, float).reshape(shape), tuple(written), tuple(hover)
    )


def rank_figure(ranks: RankMap) -> go.Figure:
    """The map as a heat map, the network's first layer on top."""
    figure = canvas("", "")
    figure.add_heatmap(
        z=ranks.fraction.tolist(),
        x=ranks.columns,
        y=[plotly_text(r) for r in ranks.rows],
        text=ranks.rank,
        texttemplate="%{text}" if len(ranks.columns) <= READABLE else "",
        hovertext=ranks.hover,
        hoverinfo="text",
        zmin=0,
        zmax=1,
        xgap=1,
        ygap=1,
        colorscale=[[i / (len(RAMP) - 1), pair[0]] for i, pair in enumerate(RAMP)],
        colorbar={
            "orientation": "h",
            "yanchor": "top",
            "y": -0.005,
            "x": 1.0,
            "xanchor": "right",
            "len": 200,
            "lenmode": "pixels",
            "thickness": 8,
            "tickvals": [0, 0.5, 1],
            "ticktext": ["0", "½", "1"],
            "tickfont": {"color": light("muted"), "size": 11},
            "outlinewidth": 0,
        },
    )
    figure.update_xaxes(showgrid=False, ticks="", showline=False, side="top", autotickangles=[0, -90], type="category")
    figure.update_yaxes(showgrid=False, ticks="", autorange="reversed", type="category", tickfont_size=11)
    return figure


def rank_height(ranks: RankMap) -> int:
    """Height in pixels at which every row can be read, up to a limit."""
    return min(1600, 150 + 17 * len(ranks.rows))


def rank_width(ranks: RankMap) -> int:
    """Width in pixels beyond which cells would be bars."""
    return 260 + 110 * len(ranks.columns)

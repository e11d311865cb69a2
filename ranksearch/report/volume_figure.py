"""Hypervolume, the share of the study's box that is dominated, over trials and over seconds."""

from collections.abc import Sequence
from dataclasses import dataclass

import plotly.graph_objects as go

from .blocks import Choice
from .canvas import canvas
from .palette import study_colour
from .study_view import StudyView
from .wording import plotly_text

#: unit → its length in seconds, and from how many seconds on it is used
UNITS = {"hours": (3600.0, 2 * 3600.0), "minutes": (60.0, 600.0), "seconds": (1.0, 0.0)}


@dataclass(frozen=True)
class VolumeData:
    """One study's progress, from before its first trial on.

    Attributes:
        trials: finished trials, 0 … n.
        seconds: of these trials together, whoever ran them, and from the first one on of the stages before them.
        hypervolume: in [0, 1], never decreasing.
    """

    study: str
    trials: tuple[int, ...]
    seconds: tuple[float, ...]
    hypervolume: tuple[float, ...]


def volume_data(view: StudyView) -> VolumeData:
    """The progress of one study, failed trials included: they cost the same."""
    table = view.trials
    return VolumeData(
        view.study.name,
        tuple(range(len(table) + 1)),
        (0.0, *(view.history.stage_seconds + table["seconds_total"])),
        (0.0, *table["hypervolume"]),
    )


def baseline_volumes(view: StudyView) -> dict[str, tuple[int, float]]:
    """Number of networks and hypervolume of every baseline, in the same box."""
    box, networks = view.study.box, view.baselines
    counted = networks.assign(accuracy=networks["accuracy"].where(networks["eligible"], 0))
    return {
        str(name): (len(rows), box.hypervolume(rows["accuracy"], rows["compression_ratio"]))
        for name, rows in counted.groupby("baseline")
    }


def volume_figure(studies: Sequence[VolumeData]) -> tuple[go.Figure, tuple[Choice, ...]]:
    """The curves over trials, and the choice between trials and seconds."""
    figure = canvas("finished trials", "hypervolume")
    for place, data in enumerate(studies):
        figure.add_scatter(
            x=data.trials,
            y=data.hypervolume,
            mode="lines",
            line={"color": study_colour(place), "width": 2.5, "shape": "hv"},
            name=plotly_text(data.study),
            showlegend=len(studies) > 1,
            hovertemplate="%{y:.4f} at %{x:.4~g}<extra></extra>",
        )
    longest = max((data.seconds[-1] for data in studies), default=0.0)
    unit, length = next((unit, length) for unit, (length, start) in UNITS.items() if longest >= start)
    figure.update_yaxes(rangemode="tozero")
    figure.update_xaxes(rangemode="tozero")
    return figure, (
        Choice(
            "trials",
            {"x": [data.trials for data in studies]},
            {"xaxis.title.text": "finished trials", "xaxis.uirevision": "trials"},
        ),
        Choice(
            unit,
            {"x": [tuple(s / length for s in data.seconds) for data in studies]},
            {
                "xaxis.title.text": f"{unit} of all trials and the stages before them together",
                "xaxis.uirevision": unit,
            },
        ),
    )

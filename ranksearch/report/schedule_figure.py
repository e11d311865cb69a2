"""The decay schedules that the front uses: λ over a trial, and how often each setting was tried and kept."""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import plotly.graph_objects as go

from ..records import DecaySchedule
from .canvas import canvas
from .palette import study_colour
from .study_view import StudyView
from .wording import plotly_text, schedule_of, schedule_words, times

SETTINGS = ("shape", "fade", "order")


@dataclass(frozen=True)
class DecayCurve:
    """λ, mean over the compressible layers, over the progress of a trial, both in [0, 1]."""

    trial: int
    compression_ratio: float
    words: str
    progress: tuple[float, ...]
    decay: tuple[float, ...]


@dataclass(frozen=True)
class SettingUse:
    """How many trials of the front, and how many of all, used one value of a schedule's setting."""

    setting: str
    value: str
    on_front: int
    tried: int


def decay_curves(view: StudyView, steps: int = 200) -> tuple[DecayCurve, ...]:
    """One curve per trial of the front, from the largest network to the smallest."""
    layers = len(view.study.network.layers)
    return tuple(
        DecayCurve(
            int(row["number"]),
            float(row["compression_ratio"]),
            schedule_words(schedule),
            tuple(i / steps for i in range(steps + 1)),
            decay_curve(schedule, layers, steps),
        )
        for row in view.front.to_dict("records")
        for schedule in [schedule_of(row)]
    )


@lru_cache(maxsize=4096)
def decay_curve(schedule: DecaySchedule, layers: int, steps: int) -> tuple[float, ...]:
    """λ, mean over ``layers`` compressible layers, at ``steps`` + 1 equidistant points of a trial.

    >>> decay_curve(DecaySchedule(shape="linear", end=0.5), 3, 4)
    (1.0, 0.5, 0.0, 0.0, 0.0)
    """
    depths = [0.0] if schedule.order == "together" else np.linspace(0, 1, max(layers, 1)).tolist()
    return tuple(
        round(sum(schedule.decay(i / steps, depth) for depth in depths) / len(depths), 3) for i in range(steps + 1)
    )


def setting_uses(view: StudyView) -> tuple[SettingUse, ...]:
    """The uses of every shape, fade and order that a finished trial had; without decay only the shape counts."""
    table = view.trials
    fading = table["schedule/shape"] != "none"
    uses = []
    for setting in SETTINGS:
        rows = table if setting == "shape" else table[fading]
        for value, group in rows.groupby(f"schedule/{setting}"):
            uses.append(SettingUse(setting, str(value), int(group["on_front"].sum()), len(group)))
    return tuple(sorted(uses, key=lambda u: (SETTINGS.index(u.setting), -u.on_front, -u.tried)))


def ends(view: StudyView) -> tuple[float, ...]:
    """The ends of decay along the front, rising, as fractions of the trial."""
    table = view.trials
    return tuple(sorted(table.loc[table["on_front"] & (table["schedule/shape"] != "none"), "schedule/end"]))


def schedule_figure(curves: tuple[DecayCurve, ...]) -> go.Figure:
    """The curves, one line per trial."""
    figure = canvas("progress of the trial", "share λ of the pre-trained weight")
    for curve in curves:
        figure.add_scatter(
            x=curve.progress,
            y=curve.decay,
            mode="lines",
            line={"color": study_colour(0), "width": 1.8},
            opacity=0.55,
            showlegend=False,
            hovertemplate=f"<b>trial {curve.trial}</b> · {times(curve.compression_ratio)}<br>"
            f"{plotly_text(curve.words)}<br>λ = %{{y:.2f}} at %{{x:.0%}}<extra></extra>",
        )
    figure.update_xaxes(tickformat=".0%", range=[-0.01, 1.01])
    figure.update_yaxes(range=[-0.03, 1.03])
    return figure

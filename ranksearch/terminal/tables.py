"""Tables for the terminal: layers, closed-form front, Pareto front, finalists, evaluations."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from rich.table import Table

from ..layers import Form, LayerRanks, NetworkSpec, full_ranks, params_table
from ..layers.configuration import as_tuple
from ..records import DENSE_CONTROL, ClosedFormPoint, DecaySchedule, StudyHistory, TrialRecord


def table(title: str, *columns: str) -> Table:
    """An empty table; numbers stand right, the first column left."""
    made = Table(title=title, title_justify="left", box=None, pad_edge=False, header_style="bold")
    for i, column in enumerate(columns):
        made.add_column(column, justify="left" if i == 0 else "right", overflow="fold")
    return made


def ranks_text(ranks: LayerRanks) -> str:
    """Ranks for a reader: ``12×8``, ``5``, or ``dense``."""
    return "×".join(map(str, as_tuple(ranks))) or "dense"


def layers_table(network: NetworkSpec, form: Form) -> Table:
    """Compressible layers: kernel, legal ranks, dense cost, and the smallest they can become."""
    made = table("Compressed", "layer", "kernel", "stride", "ranks", "params", "MACs", "smallest")
    for spec in network.layers:
        kernel = f"{spec.channels_out}×{spec.channels_in}" + ("×%d×%d" % spec.kernel if spec.kind == "conv2d" else "")  # noqa: UP031
        smallest = int(np.min(params_table(spec, form)))
        made.add_row(
            spec.name,
            kernel,
            "×".join(map(str, spec.stride)),
            " ".join(f"{mode} 1…{full}" for mode, full in zip(spec.modes, full_ranks(spec), strict=True)),
            f"{spec.params:,}",
            f"{spec.macs:,}",
            f"{smallest:,}",
        )
    made.add_row("all", "", "", "", f"{network.params:,}", f"{network.macs:,}", "", style="bold")
    return made


def left_dense_table(network: NetworkSpec) -> Table:
    """Layers that stay dense, each with its reason."""
    made = table("Left dense", "layer", "type", "params", "reason")
    made.columns[-1].justify = "left"
    for left in network.left_dense:
        made.add_row(left.name or "(itself)", left.type, f"{left.params:,}", left.reason)
    return made


def closed_form_line(point: ClosedFormPoint) -> str:
    """One point of the first front: allocation alone, untrained."""
    distance = "not finite" if point.measured.distance is None else f"distance {point.measured.distance:.3f}"
    return f"  {point.label}: {point.compression_ratio:.2f}×, {point.measured.accuracy:.2%}, {distance}"


def confirmed_text(row: Mapping[Any, Any]) -> tuple[str, str]:
    """What further seeds say of a network of the front: mean, deviation, number; whether it is still there."""
    if not row["seeds"]:
        return "–", "–"
    spread = f" ± {row['accuracy_std']:.2%}" if row["seeds"] > 1 else ""
    return f"{row['accuracy_mean']:.2%}{spread} ({row['seeds']})", "yes" if row["still_on_front"] else "no"


def front_table(
    rows: Sequence[tuple[int, TrialRecord]], history: StudyHistory, confirmed: Mapping[int, tuple[str, str]]
) -> Table:
    """Trials of a front, by ratio: accuracy, both counts, MAC ratio, latency ratio where it was measured, schedule.

    Args:
        confirmed: :func:`confirmed_text` by number of the trial; empty where nothing was confirmed.
    """
    further = ("further seeds", "still on front") if confirmed else ()
    timed = ("latency ratio",) if any(r.latency for _, r in rows) else ()
    made = table(
        f"Pareto front of {history.study.name} on the search split (dense {history.study.dense.accuracy:.2%})",
        *(
            "trial",
            "accuracy",
            *further,
            "ratio, pivoted",
            "ratio, plain",
            "MAC ratio",
            *timed,
            "params",
            "decay",
            "lr",
        ),
    )
    for number, r in rows:
        made.add_row(
            str(number),
            f"{r.measured.accuracy:.2%}",
            *confirmed.get(number, ()),
            f"{r.pivoted.compression_ratio:.2f}×",
            f"{r.plain.compression_ratio:.2f}×",
            f"{r.counted.mac_ratio:.2f}×",
            *(f"{r.latency.ratio:.2f}×" if r.latency else "–" for _ in timed),
            f"{r.counted.params:,}",
            _decay(r.schedule),
            f"{r.recipe.lr:.3g}",
        )
    return made


def _decay(schedule: DecaySchedule) -> str:
    return "none" if schedule.shape == "none" else f"{schedule.shape} {schedule.fade} to {schedule.end:.2f}"


def finalists_table(records: Iterable[TrialRecord]) -> Table:
    """Long trainings: test accuracy by seed; the run names the network's file."""
    made = table(
        "Full fine-tuning (test split)",
        *("network", "images", "decay", "lr", "seed", "test accuracy", "ratio, pivoted", "ratio, plain", "MAC ratio"),
        *("seconds", "run"),
    )
    for r in records:
        made.add_row(
            r.origin,
            f"{r.recipe.images:,}",
            _decay(r.schedule),
            f"{r.recipe.lr:.3g}",
            str(r.seed),
            r.failure or f"{r.measured.accuracy:.2%}",
            f"{r.pivoted.compression_ratio:.2f}×",
            f"{r.plain.compression_ratio:.2f}×",
            f"{r.counted.mac_ratio:.2f}×",
            f"{r.cost.seconds:.0f}",
            "–" if r.origin == DENSE_CONTROL or r.failure else r.run,
        )
    return made

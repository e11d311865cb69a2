"""A study's finished trials as a tidy table: one row per trial, one column per quantity."""

import math
from datetime import UTC, datetime
from typing import Any, get_args

import msgspec
import pandas as pd

from ..layers import NetworkSpec
from ..layers.configuration import as_tuple
from ..records import CHEAP_STAGES, DecaySchedule, Recipe, Room, StudyHistory, Trial, TrialRecord

#: columns that do not depend on the study, with their types; accuracy is a fraction, times are UTC.
COLUMNS: dict[str, str] = {
    "number": "int64",
    "origin": "str",
    "accuracy": "float64",
    "distance": "float64",
    "compression_ratio": "float64",
    "compression_ratio_plain": "float64",
    "compression_ratio_pivoted": "float64",
    "mac_ratio": "float64",
    "latency_ratio": "float64",
    "latency": "float64",
    "params": "int64",
    "macs": "int64",
    "split": "str",
    "seed": "int64",
    "seconds": "float64",
    "images": "int64",
    "failure": "str",
    "stopped": "str",
    "started": "datetime64[us]",
    "finished": "datetime64[us]",
    "digest": "str",
    "key": "str",
}


def trial_table(history: StudyHistory, room: Room = "trials") -> pd.DataFrame:
    """One row per trial that ended with a measurement of its own, in the order of ending.

    Beside :data:`COLUMNS`: ``schedule/…`` and ``recipe/…``, one column per setting; ``rank/LAYER/MODE`` with
    mode ``rank_out``, ``rank_in`` or ``rank``, NA where the layer is dense; where cheap stages were asked,
    ``stage/STAGE/accuracy`` and ``stage/STAGE/distance``; ``eligible``, whether it neither failed nor was stopped
    and meets the study's floors; ``on_front``, whether it is and no other such trial of the table is better in the
    study's objectives (each the name of a column, maximised); and running values in this order, ``hypervolume`` (share
    of the study's box), ``seconds_total``, ``images_total``. The accuracy of a ``stopped`` trial is its last
    milestone's. ``digest`` names the ranks, ``key`` the ranks with schedule and recipe. ``compression_ratio``,
    ``mac_ratio``, ``params`` and ``macs`` are by the count of the study; ``latency`` is in seconds, and NaN where
    the study compares none.
    """
    study = history.study
    types = COLUMNS | dict.fromkeys(_rank_columns(study.network), "Int64")
    rows = [_row(t, t.record, study.network) for t in history.ended(room) if t.record]
    settings = [f"schedule/{f}" for f in DecaySchedule.__struct_fields__]
    settings += [f"recipe/{f}" for f in Recipe.__struct_fields__]
    looked = [f"stage/{s}/{f}" for s in CHEAP_STAGES for f in ("accuracy", "distance")]
    looked = [column for column in looked if any(column in row for row in rows)]
    types |= dict.fromkeys(looked, "float64")
    table = pd.DataFrame(rows, columns=[*COLUMNS, *settings, *looked, *_rank_columns(study.network)]).astype(types)
    table["eligible"] = table["number"].isin([t.number for t in history.eligible(room)])
    table["on_front"] = table["number"].isin([t.number for t in history.front(room)])
    counted = table["accuracy"].where(table["eligible"], 0)
    table["hypervolume"] = study.box.hypervolume_history(counted, table["compression_ratio"])
    table["seconds_total"] = table["seconds"].cumsum()
    table["images_total"] = table["images"].cumsum()
    return table


def study_table(history: StudyHistory) -> pd.DataFrame:
    """The tables of all rooms below each other, a first column ``room`` telling them apart."""
    rooms: tuple[Room, ...] = get_args(Room)
    tables = {room: trial_table(history, room) for room in rooms}
    found = [table.assign(room=room) for room, table in tables.items() if len(table)]
    whole = pd.concat(found, ignore_index=True) if found else tables["trials"].assign(room="")
    return whole[["room", *whole.columns.drop("room")]]


def _rank_columns(network: NetworkSpec) -> list[str]:
    return [f"rank/{spec.name}/{mode}" for spec in network.layers for mode in spec.modes]


def _utc(time: datetime | None) -> datetime | None:
    """Times without a zone are UTC already; the table's carry none."""
    return time.astimezone(UTC).replace(tzinfo=None) if time and time.tzinfo else time


def _row(trial: Trial, record: TrialRecord, network: NetworkSpec) -> dict[str, Any]:
    counted, measured = record.counted, record.measured
    row = {
        "number": trial.number,
        "origin": record.origin,
        "accuracy": measured.accuracy,
        "distance": measured.distance,
        "compression_ratio": counted.compression_ratio,
        "compression_ratio_plain": record.plain.compression_ratio,
        "compression_ratio_pivoted": record.pivoted.compression_ratio,
        "mac_ratio": counted.mac_ratio,
        "latency_ratio": record.latency.ratio if record.latency else math.nan,
        "latency": record.latency.compressed.median if record.latency else math.nan,
        "params": counted.params,
        "macs": counted.macs,
        "split": measured.split,
        "seed": record.seed,
        "seconds": record.cost.seconds,
        "images": record.cost.images,
        "failure": record.failure,
        "stopped": record.stopped,
        "started": _utc(trial.started),
        "finished": _utc(trial.finished),
        "digest": record.configuration.digest,
        "key": record.key,
    }
    row |= {f"schedule/{key}": value for key, value in msgspec.structs.asdict(record.schedule).items()}
    for stage, said in record.stages.items():
        row |= {f"stage/{stage}/accuracy": said.accuracy, f"stage/{stage}/distance": said.distance}
    row |= {f"recipe/{key}": value for key, value in msgspec.structs.asdict(record.recipe).items()}
    for spec in network.layers:
        ranks = as_tuple(record.configuration[spec.name])  # empty where dense: the column stays NA
        row |= {f"rank/{spec.name}/{mode}": rank for mode, rank in zip(spec.modes, ranks, strict=False)}
    return row

"""A study's history gives each room's finished trials, copies left out, in the order of finishing."""

from datetime import UTC, datetime, timedelta

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ranksearch.layers import LayerSpec, NetworkCost, NetworkSpec, RankConfiguration
from ranksearch.records import (
    ClosedFormPoint,
    DecaySchedule,
    Machine,
    Measurement,
    Recipe,
    StudyHistory,
    StudyRecord,
    TrainingCost,
    Trial,
    TrialRecord,
)

START = datetime(2026, 11, 1, tzinfo=UTC)
MACHINE = Machine(device="cpu", processor="x", threads=1, precision="float32", versions={})
COST = NetworkCost(100, 10, 4.0, 2.0)
STUDY = StudyRecord(
    name="study",
    network=NetworkSpec(layers=(LayerSpec(name="a", kind="linear", channels_out=4, channels_in=4),), params=9, macs=9),
    form="plain",
    objectives=("accuracy", "compression_ratio"),
    dense=Measurement(0.95, 0.0, "search", 500),
    ratio=(1.5, 8.0),
    accuracy_floor=0.7,
    settings={"name": "study"},
    fingerprint={"weights": "0" * 16},
    splits={"train": 1000, "search": 500, "test": 0},
    protocol=("the search split comes out of the training data",),
    closed_form=(ClosedFormPoint("4×", RankConfiguration({}), 4.0, Measurement(0.8, 0.2, "search", 500)),),
    machine=MACHINE,
)


def trial(number: int, minute: int, state: str = "complete", copy_of: int | None = None) -> Trial:
    record = TrialRecord(
        configuration=RankConfiguration({}), schedule=DecaySchedule(), recipe=Recipe(), form="plain",
        plain=COST, pivoted=COST, measured=Measurement(0.9, 0.1, "search", 500), machine=MACHINE, seed=0,
        cost=TrainingCost(images=1, seconds=1.0), copy_of=copy_of,
    )  # fmt: skip
    done = state == "complete"
    finished = START + timedelta(minutes=minute) if done else None
    return Trial(number=number, state=state, started=START, finished=finished, record=record if done else None)


ROWS = (trial(0, 9), trial(1, 3), trial(2, 5, copy_of=1), trial(3, 0, "failed"), trial(4, 0, "running"), trial(5, 3))


@given(st.permutations(ROWS))
def test_finished_in_order_without_copies(rows: list[Trial]) -> None:
    history = StudyHistory(study=STUDY, trials=tuple(rows))
    assert [row.number for row in history.finished()] == [1, 5, 0]
    assert history.finished("baselines") == ()


@pytest.mark.parametrize("room", ["trials", "baselines", "confirmations", "finalists"])
def test_rooms_are_apart_and_round_trip(room: str) -> None:
    history = StudyHistory(study=STUDY, **{room: ROWS})
    assert [row.number for row in history.finished(room)] == [1, 5, 0]
    assert msgspec.json.decode(msgspec.json.encode(history), type=StudyHistory) == history


def test_a_stopped_trial_has_ended_and_not_finished() -> None:
    cut = msgspec.structs.replace(trial(6, 4), state="stopped")
    history = StudyHistory(study=STUDY, trials=(*ROWS, cut))
    assert [row.number for row in history.ended()] == [1, 5, 6, 0]
    assert [row.number for row in history.finished()] == [1, 5, 0]
    assert 6 not in [row.number for row in history.front()]


def test_box_is_the_studys_own() -> None:
    assert (STUDY.box.accuracy_floor, STUDY.box.ratio_low, STUDY.box.ratio_high) == (0.7, 1.5, 8.0)

"""Every decay schedule falls from 1 to 0 and stays there."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ranksearch.errors import StudyFileError
from ranksearch.records import NO_DECAY, SCHEDULES, DecaySchedule
from ranksearch.records.schedule import FADES, ORDERS

FALLING = [shape for shape in SCHEDULES if shape != "none"]
unit = st.floats(0, 1)
ends = st.floats(0.01, 1)


@pytest.mark.parametrize("shape", FALLING)
@pytest.mark.parametrize("order", ORDERS)
@given(end=ends, depth=unit, times=st.tuples(unit, unit).map(sorted))
def test_falls_monotonously_from_one_to_zero(
    shape: str, order: str, end: float, depth: float, times: list[float]
) -> None:
    schedule = DecaySchedule(shape=shape, order=order, end=end)
    assert schedule.decay(0.0, depth) == 1.0
    earlier, later = (schedule.decay(time, depth) for time in times)
    assert 0.0 <= later <= earlier <= 1.0
    assert schedule.decay(end, depth) == schedule.decay(1.0, depth) == 0.0


@pytest.mark.parametrize("shape", FALLING)
@given(end=ends)
def test_is_gradual(shape: str, end: float) -> None:
    schedule = DecaySchedule(shape=shape, end=end)
    on_the_way = {schedule.decay(end * x) for x in (0.1, 0.3, 0.5, 0.7)}
    assert len(on_the_way) == 4
    assert all(0 < decay < 1 for decay in on_the_way)


@pytest.mark.parametrize("fade", FADES)
@pytest.mark.parametrize("order", ORDERS)
@given(end=ends, time=unit, depth=unit)
def test_none_is_zero_from_the_first_step(fade: str, order: str, end: float, time: float, depth: float) -> None:
    schedule = DecaySchedule(shape="none", fade=fade, order=order, end=end)
    assert schedule.decay(time, depth) == 0.0
    assert schedule.canonical() == NO_DECAY


@pytest.mark.parametrize("shape", FALLING)
@given(end=ends, time=unit, depths=st.tuples(unit, unit).map(sorted))
def test_orders_run_along_the_network(shape: str, end: float, time: float, depths: list[float]) -> None:
    forth = DecaySchedule(shape=shape, order="front-to-back", end=end)
    back = DecaySchedule(shape=shape, order="back-to-front", end=end)
    near, far = depths
    assert forth.decay(time, near) <= forth.decay(time, far)
    assert back.decay(time, near) >= back.decay(time, far)
    assert forth.decay(time, 0.0) == back.decay(time, 1.0)


def test_first_layer_is_done_when_the_last_begins() -> None:
    schedule = DecaySchedule(shape="linear", order="front-to-back", end=0.8)
    assert schedule.decay(0.4, 0.0) == 0.0
    assert schedule.decay(0.4, 1.0) == 1.0
    assert schedule.decay(0.6, 1.0) == pytest.approx(0.5)


def test_staircase_has_five_equal_steps() -> None:
    schedule = DecaySchedule(shape="staircase", end=1.0)
    assert [round(schedule.decay(x), 6) for x in (0.1, 0.3, 0.5, 0.7, 0.9)] == [0.8, 0.6, 0.4, 0.2, 0.0]


@pytest.mark.parametrize(
    ("settings", "named"),
    [
        ({"shape": "cosin"}, "did you mean 'cosine'"),
        ({"fade": "ful"}, "did you mean 'full'"),
        ({"order": "front to back"}, "did you mean 'front-to-back'"),
        ({"end": 0.0}, r"end = 0.0 must be a fraction of the trial in \(0, 1\]"),
        ({"end": 1.5}, "end = 1.5"),
        ({"end": float("nan")}, "end = nan"),
    ],
)
def test_refuses(settings: dict, named: str) -> None:
    with pytest.raises(StudyFileError, match=named):
        DecaySchedule(**settings)


@given(st.sampled_from(list(SCHEDULES)), st.sampled_from(FADES), st.sampled_from(ORDERS), ends)
def test_round_trips_as_json(shape: str, fade: str, order: str, end: float) -> None:
    schedule = DecaySchedule(shape=shape, fade=fade, order=order, end=end)
    assert msgspec.json.decode(msgspec.json.encode(schedule), type=DecaySchedule) == schedule


def test_other_entries_on_a_schedule() -> None:
    given = DecaySchedule(shape="linear", fade="full", end=0.3)
    assert given.changed({"fade": "residual"}) == DecaySchedule(shape="linear", end=0.3)
    assert given.changed({"shape": "none"}) == NO_DECAY == NO_DECAY.changed({"end": 0.8})
    assert NO_DECAY.changed({"shape": "linear"}) == DecaySchedule(shape="linear")  # not to the last step

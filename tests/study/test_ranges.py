import math
import warnings
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ranksearch.errors import StudyFileError
from ranksearch.study.ranges import Range, WholeRange, default, require

numbers = st.floats(1e-6, 1e6)


@st.composite
def ranges(draw: st.DrawFn) -> Range:
    low, high = sorted((draw(numbers), draw(numbers)))
    if not low < high:
        high = low + 1.0
    return Range(low=low, high=high, log=draw(st.booleans()))


@given(ranges())
def test_the_default_of_a_range_lies_inside(setting: Range) -> None:
    value = default(setting)
    assert setting.low <= value * (1 + 1e-12)
    assert value <= setting.high * (1 + 1e-12)
    if setting.log:
        assert math.isclose(value / setting.low, setting.high / value, rel_tol=1e-6)


@given(st.integers(1, 100), st.integers(1, 20), st.integers(1, 10))
def test_the_default_of_a_stepped_range_lies_on_its_grid(low: int, steps: int, step: int) -> None:
    value = default(WholeRange(low=low, high=low + steps * step, step=step))
    assert isinstance(value, int)
    assert (value - low) % step == 0
    assert low <= value <= low + steps * step


def test_whole_numbers_stay_whole() -> None:
    assert default(WholeRange(low=1, high=64, log=True)) == 8
    assert isinstance(default(WholeRange(low=1, high=64, log=True)), int)


@pytest.mark.parametrize(
    ("setting", "told"),
    [
        ((), "two or more different values"),
        ((0.1,), "two or more different values"),
        ((0.1, 0.1), "two or more different values"),
        (Range(low=2, high=1), "low must be below high"),
        (Range(low=1, high=1), "low must be below high"),
        (Range(low=0, high=1, log=True), "needs low above 0"),
        (Range(low=0, high=1, step=2), "must lie in"),
        (Range(low=1, high=2, step=0.5, log=True), "without log"),
        (Range(low=0.2, high=0.8, step=0.25), "must be a multiple of step"),
    ],
)
def test_nothing_to_search_is_refused(setting: Any, told: str) -> None:
    with pytest.raises(StudyFileError, match=rf"training\.lr = .*{told}"):
        require("training.lr", setting, lambda value: None)


def test_the_law_sees_every_value_of_a_list_and_both_ends_of_a_range() -> None:
    seen: list[float] = []
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        require("k", (1.0, 2.0, 3.0), seen.append)
        require("k", Range(low=0.2, high=0.8, step=0.2), seen.append)
        require("k", 7.0, seen.append)
    assert seen == [1.0, 2.0, 3.0, 0.2, 0.8, 7.0]

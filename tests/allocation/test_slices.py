"""What a step of the shared training takes: the same for equal seeds, within its range, all sizes alike."""

from collections.abc import Callable, Mapping

import numpy as np
import pytest

from ranksearch.allocation import RateDistortion, Slices, attainable_ratio
from ranksearch.allocation.slices import FRONT, NOISE, WIDER
from ranksearch.layers import RankConfiguration, Svd, network_cost


class Book:
    """Notes what is asked of the allocator; names each answer by its place."""

    def __init__(self) -> None:
        self.asked: list[tuple[float, dict[str, float]]] = []

    def __call__(self, ratio: float, weights: Mapping[str, float], tilts: Mapping[str, float]) -> RankConfiguration:
        assert not tilts
        self.asked.append((ratio, dict(weights)))
        return RankConfiguration({"a": Svd(len(self.asked))})


@pytest.fixture
def book() -> Book:
    return Book()


def test_draws_follow_from_seed_and_step_alone(book: Book) -> None:
    def asked(seed: int, steps: list[int]) -> list[tuple[float, dict[str, float]]]:
        book.asked.clear()
        slices = Slices(book, ("a", "b"), (1.5, 8.0), 20.0, number=1, seed=seed)
        for step in steps:
            slices(step)
        return list(book.asked)

    forwards = asked(3, [0, 1, 2])
    assert forwards == asked(3, [2, 1, 0])[::-1]
    assert forwards != asked(4, [0, 1, 2])
    assert len({ratio for ratio, _ in forwards}) == 3


def test_drawn_ratios_fill_the_widened_range_evenly(book: Book) -> None:
    slices = Slices(book, ("a", "b", "c"), (1.5, 8.0), 20.0, number=1)
    for step in range(2000):
        slices(step)
    places = np.array([np.log(r / 1.5) / np.log(8.0 * WIDER / 1.5) for r, _ in book.asked])
    assert 0 <= places.min() < 0.05
    assert 0.99 < places.max() <= 1
    assert np.mean(places < 0.5) == pytest.approx(0.5, abs=0.04)
    assert np.mean(places < 0.25) == pytest.approx(0.25, abs=0.04)
    weights = np.array([list(w.values()) for _, w in book.asked])
    assert weights.mean() == pytest.approx(0, abs=0.03)
    assert weights.std() == pytest.approx(NOISE, rel=0.03)


def test_no_ratio_beyond_what_can_be_attained(book: Book) -> None:
    slices = Slices(book, ("a",), (1.5, 8.0), 8.1, number=1)
    for step in range(500):
        slices(step)
    assert 8.0 < max(r for r, _ in book.asked) <= 8.1


def test_the_last_slice_alternates_between_the_smallest_and_the_front(book: Book) -> None:
    slices = Slices(book, ("a",), (2.0, 8.0), 20.0, number=2)
    front = slices.closed_form
    assert [r for r, _ in book.asked] == pytest.approx(np.geomspace(2.0, 8.0, FRONT))
    assert all(w == {} for _, w in book.asked)
    last = [slices(step)[-1] for step in range(2 * FRONT)]
    assert all(c == front[-1] for c in last[::2])
    assert last[1::2] == [*front[:-1], front[0]]
    assert len(book.asked) == FRONT + 2 * FRONT  # one draw a step: the front is allocated once


@pytest.mark.parametrize(("number", "drawn"), [(1, 1), (2, 1), (3, 2)])
def test_as_many_as_asked_for(book: Book, number: int, drawn: int) -> None:
    slices = Slices(book, ("a",), (2.0, 8.0), 20.0, number=number)
    slices(0)
    before = len(book.asked)
    assert len(slices(1)) == number
    assert len(book.asked) - before == drawn


def test_real_allocations_lie_in_the_range(synthetic: Callable) -> None:
    network, tables = synthetic(1)
    allocate = RateDistortion(network, tables)
    top = attainable_ratio(network, "pivoted")
    low, high = 1.2, 0.9 * top
    slices = Slices(allocate, network.names, (low, high), top)
    for step in range(20):
        for configuration in slices(step):
            assert low - 1e-6 <= network_cost(network, configuration, "pivoted").compression_ratio <= top + 1e-6

"""The chosen part keeps the shares of the classes."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from ranksearch.errors import DataError
from ranksearch.networks.stratified import stratified


@given(st.lists(st.integers(2, 40), min_size=2, max_size=6), st.data())
def test_shares_and_disjointness(sizes, data):
    targets = torch.cat([torch.full((size,), label) for label, size in enumerate(sizes)])
    count = data.draw(st.integers(len(sizes), len(targets) - len(sizes)))
    rest, chosen = stratified(targets, count, seed=data.draw(st.integers(0, 9)))
    assert len(chosen) == count
    assert torch.cat([rest, chosen]).sort().values.tolist() == list(range(len(targets)))
    assert rest.tolist() == sorted(rest.tolist())
    found = torch.bincount(targets[chosen], minlength=len(sizes))
    for size, taken in zip(sizes, found.tolist(), strict=True):
        assert abs(taken - count * size / len(targets)) <= 1


def test_seeds():
    targets = torch.arange(40) % 4
    assert torch.equal(stratified(targets, 8, 0)[1], stratified(targets, 8, 0)[1])
    assert not torch.equal(stratified(targets, 8, 0)[1], stratified(targets, 8, 1)[1])


def test_the_split_is_the_same_everywhere():
    assert stratified(torch.arange(20) % 2, 4, seed=0)[1].tolist() == [0, 9, 10, 15]


def test_without_classes():
    rest, chosen = stratified(torch.rand(9), 3, 0, classes=False)
    assert sorted(rest.tolist() + chosen.tolist()) == list(range(9))


@pytest.mark.parametrize(
    ("targets", "count", "message"),
    [
        ([0, 0, 1, 1], 4, "cannot take 4 out of 4 examples: 1 to 3"),
        ([0, 0, 1, 1], 0, "cannot take 0"),
        ([0, 0, 1, 1], 1, "with 2 classes, 2 to 2 can be taken"),
        ([0, 0, 0, 7], 2, "class 7 has one example"),
    ],
)
def test_refused(targets, count, message):
    with pytest.raises(DataError, match=message):
        stratified(torch.tensor(targets), count, 0)

"""Batches are a function of the seed and their index."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from ranksearch.errors import DataError
from ranksearch.networks.order import AUGMENT, EPOCH, draws

sizes = st.integers(1, 30)


@given(sizes, sizes, st.integers(0, 2**63), st.integers(0, 50))
def test_any_start_continues_the_same_sequence(count, batch, seed, start):
    whole = list(draws(count, batch, seed=seed, steps=start + 3))[start:]
    resumed = list(draws(count, batch, seed=seed, start=start, steps=3))
    assert [d.step for d in resumed] == [start, start + 1, start + 2]
    for one, other in zip(whole, resumed, strict=True):
        assert torch.equal(one.positions, other.positions)
        assert torch.equal(
            torch.rand(3, generator=one.generator(AUGMENT)), torch.rand(3, generator=other.generator(AUGMENT))
        )


@given(sizes, sizes, st.integers(0, 99), st.integers(1, 4))
def test_every_epoch_holds_every_example_once_and_no_batch_is_short(count, batch, seed, epochs):
    steps = -(-count * epochs // batch)
    given_batches = [d.positions for d in draws(count, batch, seed=seed, steps=steps)]
    assert {len(p) for p in given_batches} == {batch}
    for epoch in torch.cat(given_batches)[: count * epochs].split(count):
        assert epoch.sort().values.tolist() == list(range(count))


@given(sizes, sizes)
def test_without_a_seed_once_in_order(count, batch):
    given_batches = list(draws(count, batch, seed=None))
    assert torch.cat([d.positions for d in given_batches]).tolist() == list(range(count))
    assert all(len(d.positions) == batch for d in given_batches[:-1])
    assert [d.step for d in draws(count, batch, seed=None, start=1, steps=2)] == [d.step for d in given_batches[1:3]]


@given(sizes, sizes, st.integers(0, 99))
def test_batches_are_cut_from_one_list_of_epochs(count, batch, seed):
    epochs = torch.cat([next(draws(count, count, seed=seed, start=epoch)).positions for epoch in range(6)])
    for draw in draws(count, batch, seed=seed, steps=5 * count // batch):
        assert torch.equal(draw.positions, epochs[draw.step * batch :][:batch])


def test_epochs_seeds_and_purposes_differ():
    def order(seed, epoch):
        return next(draws(50, 50, seed=seed, start=epoch)).positions.tolist()

    assert order(0, 0) != order(0, 1)
    assert order(0, 0) != order(1, 0)
    draw = next(draws(5, 5, seed=0))
    assert draw.generator(EPOCH).initial_seed() != draw.generator(AUGMENT).initial_seed()


def test_the_global_generator_is_not_touched():
    before = torch.get_rng_state()
    list(draws(10, 3, seed=0, steps=9))
    assert torch.equal(before, torch.get_rng_state())


@pytest.mark.parametrize(("count", "batch"), [(0, 4), (4, 0)])
def test_nothing_to_draw(count, batch):
    with pytest.raises(DataError, match="at least 1"):
        next(draws(count, batch, seed=0))

"""Datasets with transforms of their own: order, reproducible randomness, untouched generators, clear failures."""

import random

import numpy as np
import pytest
import torch
from PIL import Image, UnidentifiedImageError
from torch.utils.data import Dataset, IterableDataset

from ranksearch.errors import DataError, UnreadableError
from ranksearch.networks import Augmentation, Streamed, examples_of


class Noisy(Dataset):
    """Item ``i`` is ``i`` plus noise of all three generators; the target is a dict."""

    def __init__(self, count: int = 11, noise: float = 0.25) -> None:
        self.count, self.noise = count, noise

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, i: int):
        noise = torch.rand(1).item() + np.random.rand() + random.random()  # noqa: NPY002
        return torch.full((1, 2, 2), i + self.noise * noise), {"label": i, "weight": torch.tensor([0.5])}


class Labelled(Noisy):
    def __getitem__(self, i: int):
        return super().__getitem__(i)[0], i % 3


class Bad(Noisy):
    def __init__(self, item) -> None:
        super().__init__(3)
        self.item = item

    def __getitem__(self, i: int):
        return self.item(i)


@pytest.mark.parametrize("workers", [0, 2])
def test_order_randomness_and_resume(workers):
    examples = examples_of(Noisy()).read_ahead(workers)
    reference = [(x, y["label"]) for x, y in examples_of(Noisy()).batches(4, seed=3, steps=6)]
    whole = [(x, y["label"]) for x, y in examples.batches(4, seed=3, steps=6)]
    resumed = [(x, y["label"]) for x, y in examples.batches(4, seed=3, start=4, steps=2)]
    for (x, y), (x2, y2) in zip(reference + whole[4:], whole + resumed, strict=True):
        assert torch.equal(x, x2)
        assert torch.equal(y, y2)
    assert all(torch.equal(x[:, 0, 0, 0].floor().long(), y) for x, y in whole)
    assert not torch.equal(whole[0][0] % 1, whole[1][0] % 1)


@pytest.mark.parametrize("workers", [0, 1])
def test_global_generators_stay_as_they_were(workers):
    examples = examples_of(Labelled()).read_ahead(workers)
    before = torch.get_rng_state(), np.random.get_state()[1].copy(), random.getstate()  # noqa: NPY002
    list(examples.batches(4))
    list(examples.batches(4, seed=1, steps=5))
    _ = examples.targets, examples.fingerprint, examples.example()
    assert torch.equal(before[0], torch.get_rng_state())
    assert np.array_equal(before[1], np.random.get_state()[1])  # noqa: NPY002
    assert before[2] == random.getstate()


class Cropped(Noisy):
    """Input and target are cut at the same random place."""

    def __getitem__(self, i: int):
        noise = torch.rand(1)
        return noise.expand(1, 2, 2) + i, noise + i


@pytest.mark.parametrize("workers", [0, 1])
def test_in_order_every_item_is_the_same_whenever_it_is_read(workers):
    examples = examples_of(Cropped()).read_ahead(workers)
    reads = []
    for part in (examples, examples.subset([2, 9, 4]), examples_of(Cropped()).subset([9, 2, 4])):
        for batch in (1, 3, 50):
            x, y = (torch.cat(found) for found in zip(*part.batches(batch), strict=True))
            assert torch.equal(x[:, 0, 0, 0], y[:, 0])
            assert torch.equal(part.targets, y)
            reads.append({int(value): float(value) for value in y})
    assert all(reads[0].items() >= read.items() for read in reads)
    assert len({value % 1 for value in reads[0].values()}) == len(examples)


def test_targets_that_were_read_are_not_read_again():
    read = []
    examples = examples_of(Bad(lambda i: read.append(i) or (torch.zeros(1), torch.tensor([i + 0.5]))))
    assert examples.targets.flatten().tolist() == [0.5, 1.5, 2.5]
    read.clear()
    parts = examples.subset([2, 0]).prepared(None, Augmentation())
    assert read == [2]  # to see what an input looks like
    assert parts.targets.flatten().tolist() == [2.5, 0.5]
    assert read == [2]


def test_in_order_and_subset():
    examples = examples_of(Labelled(noise=0.0)).subset([7, 2, 5])
    x, y = next(examples.batches(3))
    assert x[:, 0, 0, 0].tolist() == [7, 2, 5]
    assert y.tolist() == examples.targets.tolist() == [1, 2, 2]
    assert examples.classes == 3


def test_targets_of_any_structure():
    examples = examples_of(Noisy())
    assert examples.classes is None
    assert examples.targets["label"].tolist() == list(range(11))
    assert examples.targets["weight"].shape == (11, 1)


def test_uint8_items_are_scaled_and_doubles_become_floats():
    pixels = examples_of(Bad(lambda i: (np.full((1, 2, 2), 255, np.uint8), 0)))
    assert next(pixels.batches(2))[0].eq(1).all()
    doubles = examples_of(Bad(lambda i: (np.full((1, 2, 2), 0.5), 0)))
    assert next(doubles.batches(2))[0].dtype == torch.float32


def test_fingerprint():
    assert examples_of(Labelled()).fingerprint == examples_of(Labelled()).fingerprint
    distinct = [Labelled(), Labelled(12), Labelled(noise=0.5), Noisy()]
    prints = {examples_of(data).fingerprint for data in distinct} | {examples_of(Labelled()).subset([1, 0]).fingerprint}
    assert len(prints) == 5


@pytest.mark.parametrize(
    ("failure", "error"),
    [(OSError(116, "Stale file handle"), UnreadableError), (UnidentifiedImageError("no image"), DataError)],
)
def test_what_the_system_would_not_read_may_be_there_the_next_time(failure: Exception, error: type) -> None:
    class Failing(Labelled):
        def __getitem__(self, row: int):
            raise failure

    for workers in (0, 1):
        with pytest.raises(DataError, match=r"^Failing\[0\] cannot be read") as told:
            next(Streamed.of(Failing()).read_ahead(workers).batches(1))
        assert type(told.value) is error


def test_digests_are_not_pretended():
    assert examples_of(Labelled()).digests is None


@pytest.mark.parametrize(
    ("item", "message"),
    [
        (lambda i: ((torch.zeros(2), torch.zeros(3)), 0), r"Bad\[0\]: the input is a tuple; .* takes one tensor"),
        (lambda i: (Image.new("L", (2, 2)), 0), r"Bad\[0\]: the input is a Image, not a tensor.*ToTensor"),
        (lambda i: torch.zeros(2), "must be a pair"),
        (lambda i: {}["x"], r"Bad\[0\] cannot be read: KeyError"),
        (lambda i: (torch.zeros(1, 2 + i), 0), "do not fit into one batch"),
        (lambda i: (np.fliplr(np.zeros((2, 2))), 0), r"Bad\[0\]: the input cannot become a tensor: ValueError"),
    ],
)
@pytest.mark.parametrize("workers", [0, 1])
def test_failures_name_the_data_set(item, message, workers):
    with pytest.raises(DataError, match=message) as refused:
        list(Streamed.of(Bad(item)).read_ahead(workers).batches(3))
    assert "\n" not in str(refused.value)


def test_what_cannot_be_split():
    class Endless(IterableDataset):
        def __iter__(self):
            yield torch.zeros(1), 0

    with pytest.raises(DataError, match="Endless has no length"):
        examples_of(Endless())
    with pytest.raises(DataError, match="empty"):
        examples_of(Noisy(0))

"""Examples in memory: batches, preparation, subsets, fingerprints."""

import numpy as np
import pytest
import torch

from ranksearch.errors import DataError
from ranksearch.networks import Augmentation, Normalization, Resident


@pytest.fixture
def images() -> Resident:
    generator = np.random.default_rng(0)
    return Resident.of(generator.integers(0, 256, (23, 3, 8, 8), dtype=np.uint8), np.arange(23, dtype=np.uint8) % 4)


def test_in_order(images):
    inputs, targets = zip(*images.batches(10), strict=True)
    assert [len(part) for part in inputs] == [10, 10, 3]
    assert torch.equal(torch.cat(inputs), images.store.inputs / 255)
    assert torch.cat(targets).tolist() == images.targets.tolist()
    assert targets[0].dtype == torch.int64


def test_resuming_gives_the_same_augmented_batches(images):
    images = images.prepared(Normalization((0.5,), (0.25,)), Augmentation(crop=2, flip=True))
    whole = list(images.batches(7, seed=5, steps=9, augment="all"))
    resumed = list(images.batches(7, seed=5, start=6, steps=3, augment="all"))
    for (x, y), (x2, y2) in zip(whole[6:], resumed, strict=True):
        assert torch.equal(x, x2)
        assert torch.equal(y, y2)
    plain, _ = next(images.batches(7, seed=5))
    assert not torch.equal(plain, whole[0][0])


def test_batches_may_be_changed_without_changing_the_data(images):
    floats = Resident.of(torch.rand(6, 1, 4, 4), torch.arange(6))
    before = floats.store.inputs.clone()
    for x, _ in floats.batches(6):
        x.zero_()
    assert torch.equal(floats.store.inputs, before)


def test_subsets_share_the_store(images):
    part = images.subset([5, 1, 9]).subset(torch.tensor([2, 0]))
    assert part.store is images.store
    assert part.rows.tolist() == [9, 5]
    assert torch.equal(next(part.batches(2))[0], images.store.inputs[[9, 5]] / 255)
    assert len(part) == 2


def test_example_is_one_normalised_input(images):
    prepared = images.prepared(Normalization((0.1, 0.2, 0.3), (1.0, 2.0, 3.0)), Augmentation())
    mean, std = (torch.tensor(values).view(3, 1, 1) for values in ([0.1, 0.2, 0.3], [1.0, 2.0, 3.0]))
    expected = (images.store.inputs[:1] / 255 - mean) / std
    torch.testing.assert_close(prepared.example(), expected)


def test_classes():
    inputs = torch.zeros(3, 2)
    assert Resident.of(inputs, torch.tensor([0, 4, 1], dtype=torch.int32)).classes == 5
    assert Resident.of(inputs, torch.tensor([0.0, 1.0, 2.0])).classes is None
    assert Resident.of(inputs, torch.tensor([-1, 1, 2])).classes is None
    assert Resident.of(inputs, torch.zeros(3, 4, dtype=torch.int64)).classes is None


def test_fingerprint_sees_content_order_and_normalisation(images):
    same = Resident.of(images.store.inputs.clone(), images.targets.clone())
    assert same.fingerprint == images.fingerprint
    assert images.subset(range(23)).fingerprint == images.fingerprint
    altered = images.store.inputs.clone()
    altered[3, 0, 0, 0] += 1
    others = {
        images.subset(list(range(22, -1, -1))).fingerprint,
        images.prepared(Normalization((0.5,), (1.0,)), Augmentation()).fingerprint,
        Resident.of(altered, images.targets).fingerprint,
        Resident.of(images.store.inputs, images.targets.flip(0)).fingerprint,
        Resident.of(images.store.inputs.float(), images.targets).fingerprint,
    }
    assert len(others | {images.fingerprint}) == 6


def test_digests_find_copies(images):
    assert len(set(images.digests)) == 23
    assert images.subset([1, 1, 2]).digests[0] == images.digests[1] == images.subset([1, 1, 2]).digests[1]


def test_refused(images):
    with pytest.raises(DataError, match="equally many"):
        Resident.of(torch.zeros(3, 2), torch.zeros(4))
    with pytest.raises(DataError, match="equally many"):
        Resident.of(torch.zeros(0, 2), torch.zeros(0))
    with pytest.raises(DataError, match="NaN"):
        Resident.of(torch.full((3, 2), float("inf")), torch.zeros(3))
    with pytest.raises(DataError, match="dtype <U1"):
        Resident.of(np.zeros((2, 2)), np.array(["a", "b"]))
    with pytest.raises(DataError, match="2 means, the inputs are 3×8×8"):
        images.prepared(Normalization((0.5, 0.5), (1.0, 1.0)), Augmentation())
    with pytest.raises(DataError, match="needs images C×H×W"):
        Resident.of(torch.zeros(3, 2), torch.zeros(3)).prepared(None, Augmentation(flip=True))
    once = images.prepared(Normalization((0.5,), (1.0,)), Augmentation())
    with pytest.raises(DataError, match="normalised by its own transform"):
        once.prepared(Normalization((0.5,), (1.0,)), Augmentation())

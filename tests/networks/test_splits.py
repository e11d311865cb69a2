"""Train, search and test are disjoint, and the protocol says what they share."""

import os
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.utils.data import Dataset

from ranksearch.errors import DataError
from ranksearch.networks import Resident, Streamed, given_splits, make_splits

IMAGES = np.random.default_rng(0).integers(0, 256, (60, 3, 4, 4), np.uint8)
LABELS = np.arange(60) % 3


def write(folder: Path, test: bool = True, **arrays) -> Path:
    np.savez(folder / "set_train.npz", **({"x": IMAGES[:40], "y": LABELS[:40]} | arrays))
    if test:
        np.savez(folder / "set_test.npz", x=IMAGES[40:], y=LABELS[40:])
    return folder


def splits(folder: Path, **settings):
    return make_splits("npz:set", base=folder, **({"search": 12} | settings))


def test_parts_are_disjoint_and_complete(tmp_path):
    parts = splits(write(tmp_path))
    assert (len(parts.train), len(parts.search), len(parts.test), parts.classes) == (28, 12, 20, 3)
    digests = [set(part.digests) for part in (parts.train, parts.search, parts.test)]
    assert len(set.union(*digests)) == 60 == sum(map(len, digests))
    assert torch.bincount(parts.search.targets).tolist() == [4, 4, 4]
    assert parts.protocol == (
        "train: 28 images",
        "search: 12 images taken out of the 40 training images (stratified by class, seed 0)",
        "test: 20 images, seen by finetune and evaluate only",
        "no image stands in two splits (compared by digest)",
    )


def test_a_checkpoint_may_have_seen_the_search_split(tmp_path):
    write(tmp_path)
    seen = [sentence for sentence in splits(tmp_path, weights_seen=True).protocol if "has seen" in sentence]
    assert seen == [
        "a checkpoint trained on all 40 training images has seen the search split: "
        "accuracy on it is optimistic, test accuracy is what counts"
    ]


def test_copies_are_counted(tmp_path):
    copied = IMAGES[:40].copy()
    copied[:3] = IMAGES[40:43]
    protocol = " / ".join(splits(write(tmp_path, x=copied)).protocol)
    assert "test: 3 of its images are exact copies of images in an earlier split" in protocol
    doubled = np.repeat(IMAGES[:20], 2, axis=0)
    protocol = " / ".join(splits(write(tmp_path, x=doubled)).protocol)
    assert "search: " in protocol
    assert "of its images are exact copies" in protocol


def test_fingerprint(tmp_path):
    write(tmp_path)
    base = splits(tmp_path).fingerprint
    assert splits(tmp_path).fingerprint == base
    assert splits(tmp_path, augment=["flip"]).fingerprint == base
    changed = [{"search": 13}, {"seed": 1}, {"normalize": {"mean": [0.5], "std": [1.0]}}]
    assert len({splits(tmp_path, **change).fingerprint for change in changed} | {base}) == 4


def test_preparation_reaches_every_part(tmp_path):
    parts = splits(write(tmp_path), normalize={"mean": [0.5] * 3, "std": [0.5] * 3}, augment=["crop:1", "flip"])
    for part in (parts.train, parts.search, parts.test):
        assert part.example().min() < 0
    assert parts.train.augmentation.crop == 1
    assert not parts.search.augmentation
    assert not parts.test.augmentation


def test_no_test_and_no_classes(tmp_path):
    parts = splits(write(tmp_path, test=False, y=np.linspace(0, 1, 40)))
    assert parts.test is None
    assert parts.classes is None
    assert "there was no test split when the study was made" in parts.protocol
    assert "(at random, seed 0)" in parts.protocol[1]


def test_digits():
    parts = make_splits("digits", search=500)
    assert (len(parts.train), len(parts.search), len(parts.test)) == (937, 500, 360)
    assert any("no official test split" in sentence for sentence in parts.protocol)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"search": 40}, "data.search = 40: cannot take 40 out of 40 examples: 1 to 39"),
        ({"search": 0}, "data.search = 0"),
        ({"normalize": {"mean": [0.5] * 4, "std": [1.0] * 4}}, "4 means, the inputs are 3×4×4"),
        ({"augment": ["spin"]}, "allowed: crop:N"),
    ],
)
def test_refused(settings, message, tmp_path):
    with pytest.raises(DataError, match=message):
        splits(write(tmp_path), **settings)


def test_labels_and_shapes_must_agree(tmp_path):
    write(tmp_path)
    np.savez(tmp_path / "set_test.npz", x=IMAGES[40:], y=LABELS[40:] + 1)
    with pytest.raises(DataError, match="test has labels up to 3, the training data 0 to 2"):
        splits(tmp_path)
    np.savez(tmp_path / "set_test.npz", x=IMAGES[40:, :1], y=LABELS[40:])
    with pytest.raises(DataError, match=r"training inputs are \(3, 4, 4\), those of test \(1, 4, 4\)"):
        splits(tmp_path)


class Pairs(Dataset):
    def __len__(self) -> int:
        return 9

    def __getitem__(self, i: int):
        return torch.full((3, 4, 4), float(i)), i % 3


def test_given_parts_of_different_kinds():
    parts = given_splits(Pairs(), (IMAGES, LABELS), weights_seen=True)
    assert isinstance(parts.train, Streamed)
    assert isinstance(parts.search, Resident)
    assert parts.classes == 3
    assert parts.protocol == (
        "train: 9 images, given",
        "search: 60 images, given",
        "where the given weights were trained on the search split, accuracy on it is optimistic",
        "there was no test split when the study was made",
        "train: streamed, so exact copies across the splits were not looked for",
    )


def test_given_parts_must_be_normalised_alike():
    from dataclasses import replace

    from ranksearch.networks import Normalization

    one = Resident.of(IMAGES, LABELS)
    with pytest.raises(DataError, match="train is normalised by None, search by"):
        given_splits(one, replace(one, normalization=Normalization((0.5,), (1.0,))))
    with pytest.raises(DataError, match="both a training and a search split"):
        given_splits(one, None)


@pytest.mark.skipif("RANKSEARCH_DATA" not in os.environ, reason="RANKSEARCH_DATA is not set")
def test_cifar10_as_the_shared_study_asks():
    parts = make_splits("npz:cifar10", search=5000, base=Path(os.environ["RANKSEARCH_DATA"]))
    assert (len(parts.train), len(parts.search), len(parts.test)) == (45_000, 5_000, 10_000)
    assert torch.bincount(parts.search.targets).tolist() == [500] * 10

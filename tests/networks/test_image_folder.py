"""Folders of images, in memory or read as needed."""

import logging

import numpy as np
import pytest
import torch
from PIL import Image

from ranksearch.errors import DataError
from ranksearch.networks import Resident, Streamed, image_folder, load_source


def write(path, value: int, size: tuple[int, int] = (6, 4), mode: str = "RGB") -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.full((size[1], size[0]) + ((3,) if mode == "RGB" else ()), value, np.uint8)
    Image.fromarray(pixels).save(path)


@pytest.fixture
def folder(tmp_path):
    for part in ("train", "val"):
        for label, name in enumerate(("ant", "bee")):
            for i in range(3):
                write(tmp_path / part / name / f"{i}.png", 100 * label + i)
    return tmp_path


def test_train_and_val(folder):
    train, test = load_source("folder:.", folder)
    assert isinstance(train, Resident)
    assert train.store.inputs.shape == (6, 3, 4, 6)
    assert train.store.inputs[:, 0, 0, 0].tolist() == [0, 1, 2, 100, 101, 102]
    assert train.targets.tolist() == test.targets.tolist() == [0, 0, 0, 1, 1, 1]


def test_a_damaged_image_that_is_read_as_needed_is_named(folder, monkeypatch):
    monkeypatch.setattr(image_folder, "RESIDENT_BYTES", 100)
    (folder / "train" / "bee" / "1.png").write_bytes(b"no image")
    with pytest.raises(DataError, match=r"train/bee/1\.png cannot be read"):
        list(load_source("folder:.", folder)[0].batches(2))


def test_one_tree(folder):
    train, test = load_source("folder:train", folder)
    assert len(train) == 6
    assert test is None


def test_test_comes_before_val_and_says_so(folder, caplog):
    write(folder / "test" / "ant" / "0.png", 7)
    write(folder / "test" / "bee" / "0.png", 8)
    with caplog.at_level(logging.WARNING):
        assert len(load_source("folder:.", folder)[1]) == 2
    assert "val/ is not used" in caplog.text


def test_too_large_for_memory_is_streamed(folder, monkeypatch):
    monkeypatch.setattr(image_folder, "RESIDENT_BYTES", 100)
    resident_like, _ = load_source("folder:.", folder)
    monkeypatch.undo()
    train, _ = load_source("folder:.", folder)
    assert isinstance(resident_like, Streamed)
    assert resident_like.targets.tolist() == train.targets.tolist()
    one, other = next(resident_like.batches(6, seed=1)), next(train.batches(6, seed=1))
    assert torch.equal(one[0], other[0])
    assert torch.equal(one[1], other[1])


def test_sizes(folder):
    write(folder / "train" / "bee" / "9.png", 5, size=(12, 10))
    with pytest.raises(DataError, match=r"9\.png is 10×12 pixels, the first image 4×6: set \[data\] size"):
        load_source("folder:.", folder)
    train, _ = load_source("folder:.", folder, size=4)
    assert train.store.inputs.shape == (7, 3, 4, 4)
    assert train.store.inputs[6].eq(5).all()


def test_grey_becomes_rgb(folder):
    write(folder / "train" / "bee" / "9.png", 5, mode="L")
    assert load_source("folder:.", folder)[0].store.inputs[6].eq(5).all()


def test_refused(folder, tmp_path):
    with pytest.raises(DataError, match="no such folder"):
        load_source("folder:nowhere", folder)
    (folder / "train" / "bee" / "1.png").write_bytes(b"no image")
    with pytest.raises(DataError, match=r"1\.png cannot be read as an image"):
        load_source("folder:.", folder)
    (folder / "empty").mkdir()
    with pytest.raises(DataError, match="one folder of images per class"):
        load_source("folder:empty", folder)


def test_classes_must_agree(folder):
    write(folder / "train" / "cat" / "0.png", 3)
    with pytest.raises(DataError, match=r"same classes; only one has \['cat'\]"):
        load_source("folder:.", folder)

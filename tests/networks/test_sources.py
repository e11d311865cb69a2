"""Every source, on small files in the original formats, and its failures."""

import os
import pickle
import struct
import sys
from hashlib import md5
from pathlib import Path
from urllib.error import URLError

import numpy as np
import pytest
import scipy.io
import torch
from torchvision.datasets import CIFAR10, CIFAR100, MNIST, SVHN

from ranksearch.errors import DataError
from ranksearch.networks import Resident, load_source

GENERATOR = np.random.default_rng(0)


def no_network(*args, **kwargs):
    raise URLError("no route to host")


@pytest.fixture(autouse=True)
def _offline(monkeypatch):
    for kind in (MNIST, CIFAR10, SVHN):  # CIFAR100 inherits
        monkeypatch.setattr(kind, "download", no_network)


def digest(path: Path) -> str:
    return md5(path.read_bytes()).hexdigest()


def test_digits():
    train, test = load_source("digits", Path())
    assert (len(train), len(test)) == (1437, 360)
    assert train.classes == test.classes == 10
    assert train.example().shape == (1, 1, 8, 8)
    assert train.store.inputs.min() == 0
    assert train.store.inputs.max() == 1
    assert not set(train.rows.tolist()) & set(test.rows.tolist())
    assert (train.fingerprint, test.fingerprint) == tuple(e.fingerprint for e in load_source("digits", Path()))
    assert torch.bincount(test.targets).min() >= 34


def write_mnist(root: Path, count: int = 6) -> tuple[np.ndarray, np.ndarray]:
    images, labels = GENERATOR.integers(0, 256, (count, 28, 28), np.uint8), GENERATOR.integers(0, 10, count, np.uint8)
    (root / "MNIST" / "raw").mkdir(parents=True)
    for part in ("train", "t10k"):
        folder = root / "MNIST" / "raw"
        (folder / f"{part}-images-idx3-ubyte").write_bytes(struct.pack(">IIII", 2051, count, 28, 28) + images.tobytes())
        (folder / f"{part}-labels-idx1-ubyte").write_bytes(struct.pack(">II", 2049, count) + labels.tobytes())
    return images, labels


def test_mnist(tmp_path):
    images, labels = write_mnist(tmp_path / "data")
    train, test = load_source("mnist:data", tmp_path)
    assert np.array_equal(train.store.inputs.numpy(), images[:, None])
    assert train.targets.tolist() == labels.tolist()
    assert len(test) == 6


def test_damaged_mnist(tmp_path):
    write_mnist(tmp_path)
    path = tmp_path / "MNIST" / "raw" / "train-images-idx3-ubyte"
    path.write_bytes(path.read_bytes()[:2000])
    with pytest.raises(DataError, match=r"MNIST is not \(whole\) in .*invalid for input of size 1984"):
        load_source(f"mnist:{tmp_path}", Path())


def write_cifar(kind: type[CIFAR10], root: Path, monkeypatch) -> tuple[np.ndarray, list[int]]:
    """Pickled batches as in the official archive, and their md5 in place of the published ones."""
    folder = root / kind.base_folder
    folder.mkdir(parents=True)
    pixels, labels = GENERATOR.integers(0, 256, (5, 3072), np.uint8), [7, 0, 2, 9, 1]
    key = "labels" if kind is CIFAR10 else "fine_labels"
    lists = {}
    for name in ("train_list", "test_list"):
        lists[name] = []
        for file, _ in getattr(kind, name):
            (folder / file).write_bytes(pickle.dumps({"data": pixels, key: labels, "batch_label": file}, protocol=2))
            lists[name].append([file, digest(folder / file)])
        monkeypatch.setattr(kind, name, lists[name])
    meta = folder / kind.meta["filename"]
    meta.write_bytes(pickle.dumps({kind.meta["key"]: [str(i) for i in range(100)]}, protocol=2))
    monkeypatch.setattr(kind, "meta", kind.meta | {"md5": digest(meta)})
    return pixels, labels


@pytest.mark.parametrize(("source", "kind", "batches"), [("cifar10", CIFAR10, 5), ("cifar100", CIFAR100, 1)])
def test_cifar(source, kind, batches, tmp_path, monkeypatch):
    pixels, labels = write_cifar(kind, tmp_path, monkeypatch)
    train, test = load_source(f"{source}:{tmp_path}", Path())
    assert isinstance(train, Resident)
    assert (len(train), len(test)) == (5 * batches, 5)
    assert np.array_equal(test.store.inputs.numpy(), pixels.reshape(5, 3, 32, 32))
    assert test.targets.tolist() == labels

    damaged = tmp_path / kind.base_folder / kind.test_list[0][0]
    damaged.write_bytes(damaged.read_bytes()[:-1] + b"!")
    with pytest.raises(DataError, match=rf"{kind.__name__} is not \(whole\) in .*corrupted.*no route to host"):
        load_source(f"{source}:{tmp_path}", Path())


def write_svhn(root: Path, monkeypatch) -> tuple[np.ndarray, list[int]]:
    images, labels = GENERATOR.integers(0, 256, (32, 32, 3, 4), np.uint8), [10, 1, 9, 10]
    split_list = {}
    for part in ("train", "test"):
        path = root / f"{part}_32x32.mat"
        scipy.io.savemat(path, {"X": images, "y": np.array(labels, np.uint8)[:, None]})
        split_list[part] = [SVHN.split_list[part][0], path.name, digest(path)]
    monkeypatch.setattr(SVHN, "split_list", split_list)
    return images, labels


def test_svhn(tmp_path, monkeypatch):
    images, _ = write_svhn(tmp_path, monkeypatch)
    train, test = load_source(f"svhn:{tmp_path}", Path())
    assert np.array_equal(train.store.inputs.numpy(), images.transpose(3, 2, 0, 1))
    assert test.targets.tolist() == [0, 1, 9, 0]

    path = tmp_path / "train_32x32.mat"
    path.write_bytes(path.read_bytes() + b" ")
    with pytest.raises(DataError, match=r"SVHN is not \(whole\) in .*corrupted"):
        load_source(f"svhn:{tmp_path}", Path())


@pytest.mark.parametrize("source", ["mnist", "cifar10", "cifar100", "svhn"])
def test_neither_there_nor_downloadable(source, tmp_path):
    with pytest.raises(
        DataError, match=r"cannot be downloaded \(URLError: .*no route to host.*put torchvision's files"
    ):
        load_source(f"{source}:{tmp_path / 'none'}", Path())


def test_absent_files_are_downloaded(tmp_path, monkeypatch):
    monkeypatch.setattr(SVHN, "download", lambda self: write_svhn(tmp_path, monkeypatch))
    assert len(load_source(f"svhn:{tmp_path}", Path())[0]) == 4


def save_npz(path: Path, **arrays) -> None:
    np.savez(path, **arrays)


IMAGES = GENERATOR.integers(0, 256, (6, 3, 4, 4), np.uint8)


def test_npz(tmp_path):
    save_npz(tmp_path / "set_train.npz", x=IMAGES, y=np.arange(6))
    train, test = load_source("npz:set", tmp_path)
    assert test is None
    assert np.array_equal(train.store.inputs.numpy(), IMAGES)
    save_npz(tmp_path / "set_test.npz", x=IMAGES[:2] / 255, y=np.arange(2.0))
    _, test = load_source(f"npz:{tmp_path}/set", Path("/elsewhere"))
    assert test.store.inputs.dtype == test.targets.dtype == torch.float32


def test_the_home_folder_is_known(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    save_npz(tmp_path / "set_train.npz", x=IMAGES, y=np.arange(6))
    assert len(load_source("npz:~/set", Path("/elsewhere"))[0]) == 6


def test_npz_takes_a_column_of_labels(tmp_path):
    save_npz(tmp_path / "set_train.npz", x=IMAGES, y=np.arange(6)[:, None])
    train, _ = load_source("npz:set", tmp_path)
    assert train.targets.tolist() == list(range(6))
    assert train.classes == 6


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"x": IMAGES}, "lacks y; it holds x"),
        ({"images": IMAGES, "labels": np.arange(6)}, "lacks x and y; it holds images, labels"),
        ({"x": IMAGES, "y": np.arange(5)}, "equally many"),
        ({"x": IMAGES.astype(np.int64), "y": np.arange(6)}, "x is int64"),
        ({"x": np.zeros((6, 8, 8, 3), np.uint8), "y": np.arange(6)}, "looks like N×H×W×C"),
        ({"x": np.full((6, 2), np.nan), "y": np.arange(6)}, "NaN"),
        ({"x": IMAGES, "y": np.array(["a"] * 6)}, "set_train.npz"),
        ({"x": IMAGES, "y": np.array([print] * 6)}, "holds Python objects"),
    ],
)
def test_npz_refused(arrays, message, tmp_path):
    save_npz(tmp_path / "set_train.npz", **arrays)
    with pytest.raises(DataError, match=message) as refused:
        load_source("npz:set", tmp_path)
    assert "set_train.npz" in str(refused.value)


def test_npz_damaged_or_missing(tmp_path):
    with pytest.raises(DataError, match=r"set_train\.npz: there is no such file"):
        load_source("npz:set", tmp_path)
    save_npz(tmp_path / "set_train.npz", x=IMAGES, y=np.arange(6))
    whole = (tmp_path / "set_train.npz").read_bytes()
    for kept in (0, 100, len(whole) - 30):
        (tmp_path / "set_train.npz").write_bytes(whole[:kept])
        with pytest.raises(DataError, match="is damaged"):
            load_source("npz:set", tmp_path)


@pytest.fixture
def user_data(tmp_path, monkeypatch):
    (tmp_path / "my_data_for_tests.py").write_text(
        "import numpy as np\n"
        "x, y = np.zeros((4, 1, 2, 2), np.uint8), np.arange(4)\n"
        "def both(): return (x, y), (x, y)\n"
        "def train_only(): return (x, y), None\n"
        "def single(): return x\n"
    )
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    yield
    sys.modules.pop("my_data_for_tests", None)


@pytest.mark.usefixtures("user_data")
def test_factory():
    train, test = load_source("my_data_for_tests:both", Path())
    assert (len(train), len(test)) == (4, 4)
    assert load_source("my_data_for_tests:train_only", Path())[1] is None
    with pytest.raises(DataError, match=r"must return a pair \(train, test\), got ndarray"):
        load_source("my_data_for_tests:single", Path())


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("digit", "did you mean 'digits'"),
        ("cifra10:data", "did you mean 'cifar10'"),
        ("cifar10", "must be written cifar10:ROOT"),
        ("digits:here", "must be written digits$"),
        ("no.such.package:data", "no module 'no'"),
    ],
)
def test_unknown(source, message):
    with pytest.raises(DataError, match=message):
        load_source(source, Path())


def test_size_is_for_folders(tmp_path):
    with pytest.raises(DataError, match="resizes image folders"):
        load_source("digits", tmp_path, size=16)


@pytest.mark.skipif("RANKSEARCH_DATA" not in os.environ, reason="RANKSEARCH_DATA is not set")
def test_official_mnist():
    train, test = load_source(f"mnist:{os.environ['RANKSEARCH_DATA']}", Path())
    assert (len(train), len(test), train.classes) == (60_000, 10_000, 10)
    assert train.targets[:5].tolist() == [5, 0, 4, 1, 9]

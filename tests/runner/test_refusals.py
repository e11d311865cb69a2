"""Bad input: one line that names the law and the remedy, exit code 2 (or 75 to try again), never a traceback."""

import re
import sqlite3
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import optuna
import pytest
import torch

from ranksearch.study import open_storage, opened_file
from ranksearch.terminal.progress import Display

Command = Callable[..., Any]
QUICK = {"training": {"images": 128}, "search": {"trials": 1}}


def refused(left: Any, *told: str, code: int = 2) -> None:
    assert left.code == code, left
    assert left.err.startswith("ranksearch: ")
    assert left.err.count("\n") == 1
    assert "Traceback" not in left.err
    for words in told:
        assert words in left.err


@pytest.mark.parametrize(
    ("changes", "options", "told"),
    [
        ({"search": {"trails": 3}}, (), ("search.trails", "did you mean 'trials'?")),
        ({"network": {"weights": "nowhere.pt"}}, (), ("nowhere.pt",)),
        ({"network": {"weights": "corrupt.pt"}}, (), ("corrupt.pt",)),
        ({"network": {"arguments": {"width": 6}}}, (), ("barnet.pt", "0.weight")),
        ({"network": {"model": "barnet:Broken", "weights": "none"}}, (), ("64", "10")),
        ({"network": {"model": "barnet:mkae"}}, (), ("did you mean 'make'?",)),
        ({"network": {"model": "nowhere:make"}}, (), ("nowhere",)),
        ({"network": {"weights": "none"}}, (), ("near chance (25.00% for 4 classes", "normalize")),
        ({"network": {"weights": "none", "expect_accuracy": 0.9}}, (), ("network.expect_accuracy = 90.00%",)),
        ({"data": {"source": "npz:nowhere"}}, (), ("nowhere_train.npz",)),
        ({"data": {"source": "npz:corrupt"}}, (), ("corrupt_train.npz",)),
        ({"data": {"search": 100_000}}, (), ("data.search = 100000",)),
        ({"ranks": {"ratio": [1.5, 1000.0]}}, (), ("ranks.ratio = [1.5, 1000]", "must lie within 1 and")),
        ({"ranks": {"accuracy_floor": 1.0}}, (), ("accuracy_floor",)),
        ({"ranks": {"include": ["conv*"]}}, (), ()),
        ({}, ("--sampler", "tpa"), ("--sampler", "tpa")),
        ({}, ("--device", "tpu"), ("device 'tpu' is unknown; allowed: cpu, cuda, mps",)),
        ({}, ("--storage", "mongodb://host/db"), ("'mongodb' is no storage",)),
        ({}, ("--storage", "postgresql://me:secret@host/db"), ("ranksearch[postgresql]", "me:***@host")),
        ({}, ("--storage", "sqlite:///corrupt.pt"), ("corrupt.pt", "not a database")),
    ],
)  # fmt: skip
def test_a_search_that_cannot_start(
    changes: Mapping[str, Mapping[str, Any]], options: tuple[str, ...], told: tuple[str, ...],
    write: Command, ranksearch: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.setitem(__import__("sys").modules, "psycopg", None)  # as where the extra is not installed
    (tmp_path / "corrupt.pt").write_bytes(b"no checkpoint at all, but long enough to be one")
    (tmp_path / "corrupt_train.npz").write_bytes(b"PK no archive")
    refused(ranksearch("search", write(**changes), *options), *told)


def test_a_device_that_is_not_there(write: Command, ranksearch: Command) -> None:
    missing = next(d for d, there in (("mps", torch.backends.mps.is_available()), ("cuda", torch.cuda.is_available()))
                   if not there)  # fmt: skip
    refused(ranksearch("search", write(), "--device", missing), f"device '{missing}' is not on this machine")


def test_a_storage_that_is_none_is_not_worth_another_try(write: Command, ranksearch: Command, tmp_path: Path) -> None:
    (tmp_path / "folder.db").mkdir()
    for verb in ("search", "report", "front", "export"):
        refused(ranksearch(verb, write(), "--storage", "sqlite:///folder.db"), "unable to open database file")


def test_a_foreign_study_is_found_before_anything_is_measured(
    write: Command, ranksearch: Command, tmp_path: Path
) -> None:
    path = write()
    storage = open_storage(opened_file(path, {}).storage_url)
    optuna.create_study(study_name="bars", storage=storage).add_trial(optuna.trial.create_trial(value=1.0))
    left = ranksearch("search", path)
    refused(left, "that ranksearch did not make")
    assert "A first front" not in left.out


def test_verbs_without_a_storage_want_no_address(write: Command, ranksearch: Command) -> None:
    path = write(search={"storage": "${NOWHERE_SET}"})
    refused(ranksearch("status", path), "NOWHERE_SET")
    for verb in (("layers", path), ("allocate", path, "--ratio", 3)):
        assert ranksearch(*verb).code == 0


@pytest.mark.parametrize("scheme", ["postgresql", "mysql"])
@pytest.mark.parametrize("verb", ["search", "worker", "status", "report"])
def test_a_server_that_cannot_be_reached_is_told_without_its_password(
    verb: str, scheme: str, write: Command, ranksearch: Command
) -> None:
    left = ranksearch(verb, write(), "--storage", f"{scheme}://me:p%40ss:w/rd@127.0.0.1:1/db")
    refused(left, "://me:***@127.0.0.1:1/db cannot be reached", code=75)
    for secret in ("p@ss", "p%40ss", "w/rd", "w%2Frd"):
        assert secret not in left.out + left.err


def test_a_storage_that_goes_away_in_the_middle(
    write: Command, ranksearch: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def gone(self: Display, done: int, of: int) -> None:
        if done == 1:
            with sqlite3.connect(tmp_path / "bars.db") as connection:
                connection.execute("DROP TABLE trial_user_attributes")

    monkeypatch.setattr(Display, "step", gone)
    refused(ranksearch("search", write(**QUICK)), "bars.db cannot be reached", "the same command goes on", code=75)


@pytest.mark.parametrize("verb", ["report", "front", "export", "status"])
def test_a_study_that_was_never_started(verb: str, write: Command, ranksearch: Command) -> None:
    refused(ranksearch(verb, write()), "`ranksearch search` makes it")
    assert ranksearch("search", write(network={"weights": "none"})).code == 2  # leaves a database without a study
    refused(ranksearch(verb, write()), "`ranksearch search` makes it")


def test_a_study_under_other_conditions_is_refused_until_they_are_restored(
    write: Command, ranksearch: Command, ground: Path, tmp_path: Path
) -> None:
    assert ranksearch("search", write(**QUICK)).code == 0

    wider = QUICK | {"training": {"images": 128, "lr": {"low": 0.005, "high": 0.2, "log": True}}}
    refused(ranksearch("search", write(**wider)), "training.lr", "high = 0.1", "high = 0.2", "restore them")

    state = torch.load(ground / "barnet.pt")
    state["8.bias"] += 1e-3
    torch.save(state, tmp_path / "other.pt")
    refused(ranksearch("search", write(**QUICK, network={"weights": "other.pt"})), "weights; restore them")

    restored = ranksearch("search", write(**QUICK), "--trials", 2, "--sampler", "random")
    assert restored.code == 0
    assert "resumed: 1 trials finished before" in restored.out


def test_a_network_that_computes_otherwise_with_its_old_weights(
    write: Command, ranksearch: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write(**QUICK)
    assert ranksearch("search", path).code == 0
    with monkeypatch.context() as changed:
        changed.setattr(torch.nn.ReLU, "forward", lambda self, x: torch.nn.functional.silu(x))
        refused(ranksearch("search", path), "old weights but other outputs")
    assert ranksearch("search", path).code == 0


def test_ranks_and_selections_that_do_not_exist(write: Command, ranksearch: Command, tmp_path: Path) -> None:
    path, ranks = write(**QUICK), tmp_path / "ranks.json"
    assert ranksearch("search", path).code == 0
    refused(ranksearch("export", path, "--select", "nee"), "did you mean 'knee'?")
    refused(ranksearch("export", path, "--select", "trial=99"), "99")
    refused(ranksearch("export", path, "--to", "tensorrt"), "allowed: ranks, safetensors, onnx")
    refused(ranksearch("export", path, "-o", "ranks.txt"), "ranks.txt")
    refused(ranksearch("allocate", path, "--ratio", 1000, "-o", ranks), "1000")
    refused(ranksearch("allocate", path, "--ratio", 3, "--allocator", "unifrom"), "did you mean 'uniform'?")
    refused(ranksearch("finetune", path, tmp_path / "nowhere.json"), "nowhere.json")
    (tmp_path / "in_the_way").touch()
    refused(ranksearch("export", path, "-o", tmp_path / "in_the_way" / "ranks.json"), "in_the_way")
    assert ranksearch("export", path, "-o", ranks).code == 0
    ranks.write_text(ranks.read_text().replace('"8"', '"elsewhere"'))
    for verb in (("finetune", path, ranks), ("evaluate", ranks, "--study", path)):
        refused(ranksearch(*verb), "no compressible layer 'elsewhere'", "another network")
    (tmp_path / "corrupt.safetensors").write_bytes(b"nothing")
    refused(ranksearch("evaluate", tmp_path / "corrupt.safetensors", "--study", path), "corrupt.safetensors")


@pytest.mark.parametrize(
    ("labels", "told"),
    [
        (np.zeros(64, np.float32), "these are float32, of shape (64,)"),
        (np.arange(64) % 4 - 1, "these are int64 from -1 to 2, of shape (64,)"),
        (np.eye(4, dtype=np.int64)[np.arange(64) % 4], "these are int64 from 0 to 1, of shape (64, 4)"),
    ],
)
def test_labels_that_are_no_classes(
    labels: np.ndarray, told: str, write: Command, ranksearch: Command, tmp_path: Path
) -> None:
    images = np.random.default_rng(0).random((128, 1, 8, 8), np.float32)
    for part, half in (("train", images[:64]), ("test", images[64:])):
        np.savez(tmp_path / f"real_{part}.npz", x=half, y=labels)
    left = ranksearch("search", write(data={"source": "npz:real", "search": 16}))
    refused(left, "ranksearch.search()")
    assert told.replace("(64,", "(48,") in left.err


def test_layers_says_what_a_search_would_refuse(
    write: Command, ranksearch: Command, ground: Path, tmp_path: Path
) -> None:
    state = torch.load(ground / "barnet.pt")
    torch.save({name: torch.zeros_like(tensor) for name, tensor in state.items()}, tmp_path / "zeros.pt")
    left = ranksearch("layers", write(network={"weights": "zeros.pt"}, ranks={"ratio": [1.5, 1000]}))
    assert left.code == 0, left.err
    assert re.search(r"compression ratios from 1 to [\d.]+ can be had; ranks.ratio asks for 1000", left.out)
    assert "a search would refuse it: the dense network reaches 25" in left.out

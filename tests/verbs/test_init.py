"""A first study file: its paths are read from its own folder, wherever it was asked for."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from ranksearch.networks import build_network
from ranksearch.study import read_study


def test_paths_are_those_of_the_files_folder(
    ranksearch: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "data").mkdir()
    rng = np.random.default_rng(0)
    x, y = rng.integers(0, 256, (600, 1, 8, 8), np.uint8), np.arange(600) % 10
    np.savez(tmp_path / "data" / "mine_train.npz", x=x, y=y)
    torch.save(build_network("digits-convnet", classes=10).state_dict(), tmp_path / "data" / "w.pt")
    given = ("--data", "npz:data/mine", "--weights", "data/w.pt")
    left = ranksearch("init", *given, "-o", "studies/mine.toml")
    assert (left.code, left.err) == (0, "")
    study = read_study(tmp_path / "studies" / "mine.toml")
    assert (study.data.source, study.network.weights) == ("npz:../data/mine", "../data/w.pt")
    left = ranksearch("layers", "studies/mine.toml")
    assert (left.code, left.err) == (0, "")

    (tmp_path / "train").mkdir()  # a folder is no checkpoint
    assert ranksearch("init", "-o", "studies/trained.toml").code == 0
    assert read_study(tmp_path / "studies" / "trained.toml").network.weights == "train"

    assert ranksearch("init", *given, "-o", "here.toml").code == 0
    assert read_study(tmp_path / "here.toml").data.source == "npz:data/mine"
    for data in ("npz:${DATA}/mine", "digits", "my_package:data", f"folder:{tmp_path}"):
        assert ranksearch("init", "--data", data, "-o", "studies/other.toml", "--force").code == 0
        assert f'"{data}"' in (tmp_path / "studies" / "other.toml").read_text(encoding="utf-8")
    assert ranksearch("init", "--data", "folder:", "--weights", "w.pt", "-o", "studies/none.toml").code == 0
    assert read_study(tmp_path / "studies" / "none.toml").network.weights == "../w.pt"  # which may be made yet
    assert "must be written folder:DIR" in ranksearch("layers", "studies/none.toml").err


@pytest.mark.parametrize(
    ("file", "name"), [("my study.toml", "my-study"), ("a" * 120 + ".toml", "a" * 100), (".toml", "toml")]
)
def test_any_file_name_gives_a_name(
    file: str, name: str, ranksearch: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    left = ranksearch("init", "-o", file)
    assert left.code == 0
    assert read_study(Path(file)).name == name
    assert ("ranksearch layers 'my study.toml'" in left.out) == (" " in file)

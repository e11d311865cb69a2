"""Every export of a study, on a network that is not ours: read by its own runtime, measured as the trial was."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
import torch

from ranksearch.artifacts import exports
from ranksearch.artifacts.exports import EXPORTS, Bench
from ranksearch.export import load_compressed, read_ranks, save_compressed
from ranksearch.progressive import CLASSIFICATION
from ranksearch.records import RankFile
from ranksearch.study import opened_file
from ranksearch.subject.study_network import study_network, study_splits

Command = Callable[..., Any]

#: what to run in a fresh process: reads inputs.npy, writes outputs.npy
ALONE = {
    "onnx": """
import sys, numpy, onnxruntime
session = onnxruntime.InferenceSession("network.onnx", providers=["CPUExecutionProvider"])
numpy.save("outputs.npy", session.run(None, {"input": numpy.load("inputs.npy")})[0])
assert not {"torch", "ranksearch"} & set(sys.modules)
""",
    "program": """
import sys, numpy, torch
network = torch.export.load("network.pt2").module()
numpy.save("outputs.npy", network(torch.from_numpy(numpy.load("inputs.npy"))).numpy())
assert "ranksearch" not in sys.modules
""",
    "safetensors": """
import sys, numpy, torch
sys.path.insert(0, "GROUND")
import barnet, ranksearch
network = ranksearch.load(barnet.make(), "network.safetensors")
with torch.inference_mode():
    numpy.save("outputs.npy", network(torch.from_numpy(numpy.load("inputs.npy"))).numpy())
assert "optuna" not in sys.modules
""",
}
ALONE["int8"] = ALONE["onnx"]


@pytest.fixture(scope="module")
def searched(tmp_path_factory: pytest.TempPathFactory, write_study: Command, ground: Path) -> Path:
    """A study file on the toy network, searched."""
    changes = {"training": {"images": 640}, "search": {"trials": 4, "sampler": "random"}}
    path: Path = write_study(tmp_path_factory.mktemp("searched"), **changes)
    command = [sys.executable, "-m", "ranksearch", "search", str(path)]
    subprocess.run(command, cwd=ground, check=True, capture_output=True)
    return path


@pytest.fixture(scope="module")
def bench(searched: Path) -> Bench:
    study = opened_file(searched, {})
    splits = study_splits(study)
    return Bench(study_network(study, splits), splits, CLASSIFICATION)


@pytest.mark.parametrize("to", ALONE)
def test_an_export_alone_reaches_the_measured_accuracy(
    to: str, searched: Path, bench: Bench, ranksearch: Command, ground: Path, tmp_path: Path
) -> None:
    if to in ("onnx", "int8"):
        pytest.importorskip("onnxscript", reason="ONNX is an extra")
    path = tmp_path / f"network{EXPORTS[to].suffixes[-1]}"
    weights = tmp_path / "weights.safetensors"
    for kind, file in (("safetensors", weights), (to, path)):
        left = ranksearch("export", searched, "--select", "best-accuracy", "--to", kind, "-o", file)
        assert left.code == 0, left.err
        assert f"{file} written" in left.out
    assert not [p for p in tmp_path.iterdir() if p.is_dir()], "a temporary folder is left"
    split = bench.splits.search
    inputs = torch.cat([x for x, _ in split.batches(50)])
    np.save(tmp_path / "inputs.npy", inputs.numpy())
    code = ALONE[to].replace("GROUND", str(ground))
    alone = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert alone.returncode == 0, alone.stderr

    network, measured = load_compressed(bench.network, weights), read_ranks(weights).measured
    assert measured is not None
    with torch.inference_mode():
        expected = network(inputs)
    found = torch.from_numpy(np.load(tmp_path / "outputs.npy"))
    accuracy = float((found.argmax(1) == split.targets).float().mean())
    if to == "int8":
        assert f"{accuracy:.2%} on the search split, {len(split)} images" in left.out
        assert accuracy > measured.accuracy - 0.05
        assert float((found - expected).norm() / expected.norm()) < 0.2
    else:
        torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-4)
        assert abs(accuracy - measured.accuracy) <= 1 / len(split)  # the trial may have been measured in bfloat16
        assert to == "safetensors" or "read back on 64 search images" in left.out


def test_a_card_and_a_finetuned_network(searched: Path, bench: Bench, ranksearch: Command, tmp_path: Path) -> None:
    ranks, card = tmp_path / "ranks.json", tmp_path / "card.md"
    assert ranksearch("export", searched, "--select", "smallest", "-o", ranks).code == 0
    assert ranksearch("export", searched, "--select", "smallest", "--to", "card", "-o", card).code == 0
    measured = RankFile.read(ranks).measured
    assert measured is not None
    assert f"| compressed | {measured.accuracy:.2%} | search |" in card.read_text()
    assert "build_network('barnet:make'" in card.read_text()

    runs = tmp_path / "runs"
    assert ranksearch("finetune", searched, ranks, "--epochs", 1, "--seeds", 1, "-o", runs).code == 0
    (finetuned,) = runs.iterdir()
    for to in ("program", "card"):
        left = ranksearch("export", searched, "--from", finetuned, "--to", to)
        assert left.code == 0, left.err
        assert finetuned.with_suffix(EXPORTS[to].suffixes[0]).exists()
    text = finetuned.with_suffix(".md").read_text()
    tested = read_ranks(finetuned).measured
    assert tested is not None
    assert f"| compressed | {tested.accuracy:.2%} | test | 128 |" in text
    assert "| dense network, trained as long, seed 0 |" in text
    assert "origin `finalist" in text
    assert "| trained | `True` |" in text
    assert text.count("| training seed | 0 |") == 1

    assert ranksearch("finetune", searched, ranks, "--epochs", 2, "--seeds", 1, "-o", runs).code == 0
    assert ranksearch("export", searched, "--from", finetuned, "--to", "card").code == 0
    assert finetuned.with_suffix(".md").read_text() == text  # compared with what was trained as long, still
    (out := tmp_path / "out").mkdir()
    assert ranksearch("export", searched, "--from", finetuned, "--to", "card", "-o", out).code == 0
    assert (out / f"{finetuned.stem}.md").read_text() == text
    other = tmp_path / "other.safetensors"
    network = load_compressed(bench.network, finetuned)
    save_compressed(network, msgspec.structs.replace(read_ranks(finetuned), network={"weights": "0123"}), other)
    left = ranksearch("export", searched, "--from", other, "--to", "card")
    assert (left.code, "from other weights than those of study 'bars'" in left.err) == (2, True)
    before = finetuned.read_bytes()
    left = ranksearch("export", searched, "--from", finetuned, "--to", "safetensors")
    assert (left.code, "would be written over itself" in left.err) == (2, True)
    assert finetuned.read_bytes() == before


def test_rank_files_of_one_stem_are_both_trained(searched: Path, ranksearch: Command, tmp_path: Path) -> None:
    for name, selection in (("a.json", "smallest"), ("a.yaml", "best-accuracy")):
        assert ranksearch("export", searched, "--select", selection, "-o", tmp_path / name).code == 0
    given = [tmp_path / "a.json", tmp_path / "a.yaml"]
    left = ranksearch("finetune", searched, *given, "--epochs", 1, "--seeds", 1, "-o", tmp_path / "runs")
    assert left.code == 0, left.err
    assert len(list((tmp_path / "runs").iterdir())) == 2


def test_what_cannot_be_written_is_refused_and_nothing_is_left(
    searched: Path, ranksearch: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(*arguments: object) -> str:
        left = ranksearch("export", searched, *arguments)
        assert left.code == 2
        assert left.err.count("\n") == 1
        return str(left.err)

    assert "allowed: ranks, safetensors, onnx, program, int8, card" in refused("--to", "tensorrt")
    assert "--to onnx is written as .onnx" in refused("--to", "onnx", "-o", tmp_path / "network.pb")
    assert "one of them" in refused("--select", "knee", "--from", tmp_path / "a.safetensors")
    assert "name a folder" in refused("--select", "all", "-o", tmp_path / "all.json")
    assert "they go with --form" in refused("--runtime", "onnxruntime")
    assert "no such compressed checkpoint" in refused("--from", tmp_path / "a.safetensors", "--to", "program")
    file = tmp_path / "network.pt2"
    with monkeypatch.context() as changed:
        changed.setattr(exports, "load_program", lambda path: lambda x: torch.zeros(len(x), 4))
        assert "outputs differ from the network's by" in refused("--to", "program", "-o", file)
    with monkeypatch.context() as changed:
        changed.setitem(sys.modules, "onnxscript", None)
        assert 'pip install "ranksearch[onnx]"' in refused("--to", "onnx", "-o", file.with_suffix(".onnx"))
    assert not list(tmp_path.iterdir())

"""``evaluate`` measures every kind of file beside the dense network, by every runtime that is there."""

import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest
import torch

from ranksearch.export import save_compressed, save_int8, save_onnx, save_program
from ranksearch.layers import Form, Tucker2, network_cost
from ranksearch.records import RankFile
from ranksearch.runner.session import Session
from ranksearch.subject.trial import measured, untrained
from ranksearch.verbs import evaluation

Command = Callable[..., Any]
FORMS: tuple[Form, ...] = ("plain", "pivoted")

#: file → the runtimes that measure its latency
RUNTIMES = {
    "small.json": ["PyTorch", "onnxruntime"],
    "small.safetensors": ["PyTorch", "onnxruntime"],
    "small.onnx": ["onnxruntime"],
    "small.int8.onnx": ["onnxruntime"],
    "small.pt2": ["torch.export"],
}


@pytest.fixture(scope="module")
def ranks(session: Session) -> RankFile:
    return RankFile(network={"model": "barnet:make"}, configuration=session.variables.allocate(2.0, {}, {}))


@pytest.fixture(scope="module")
def folder(session: Session, ranks: RankFile, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One network, truncated and not trained, in every kind of file; and the dense one as ONNX."""
    pytest.importorskip("onnxscript", reason="ONNX is an extra")
    made, train = tmp_path_factory.mktemp("files"), session.subject.splits.train
    network, _ = untrained(session.subject, session.bases, ranks.configuration, ranks.form)
    ranks.write(made / "small.json")
    save_compressed(network, ranks, made / "small.safetensors")
    save_program(network, train.example(), made / "small.pt2", ranks)
    save_onnx(network, train.example(), made / "small.onnx", ranks)
    save_int8(made / "small.onnx", [next(train.batches(256))[0]], made / "small.int8.onnx")
    save_onnx(session.subject.network, train.example(), made / "bare.onnx")
    return made


@pytest.mark.parametrize("name", RUNTIMES)
def test_accuracy_size_and_latency_stand_beside_the_dense_network(
    name: str, folder: Path, ranks: RankFile, session: Session, write: Command, ranksearch: Command
) -> None:
    trust = ["--trust"] if name == "small.pt2" else []
    left = ranksearch("evaluate", folder / name, "--study", write(), "--batch", 1, "--batch", 3, *trust)
    assert left.code == 0, left.err
    rows = re.findall(rf"^({re.escape(name)}|dense) +([A-Za-z.]+) +[\d.]+ \(", left.out, re.MULTILINE)
    expected = [("dense", "PyTorch"), ("dense", "onnxruntime"), *((name, runtime) for runtime in RUNTIMES[name])]
    assert sorted(rows) == sorted(expected)
    assert re.search(r"batch 1 +batch 3$", left.out, re.MULTILINE)
    threads = torch.get_num_threads()
    assert f"Latency in ms, {threads} thread{'s' if threads > 1 else ''}: median (quartiles)" in left.out

    (row,) = re.findall(rf"^{re.escape(name)} +([\d.]+)% +([\d.]+)% (.*)$", left.out, re.MULTILINE)
    numbers = [int(word.replace(",", "")) for word in row[2].split()]
    plain, pivoted = (network_cost(session.subject.spec, ranks.configuration, form) for form in FORMS)
    assert numbers[:4] == [pivoted.params, plain.params, pivoted.macs, plain.macs]
    assert name == "small.json" or numbers[4] == (folder / name).stat().st_size
    network, _ = untrained(session.subject, session.bases, ranks.configuration, ranks.form)
    stages = (session.subject.search_stage, session.subject.final_stage)
    for percent, stage in zip(row, stages, strict=False):
        off = abs(float(percent) / 100 - measured(session.subject, stage, network).accuracy)
        assert off <= (0.06 if name == "small.int8.onnx" else 0.01)  # one image, where bfloat16 measured it
    assert ("holds ranks, no weights" in left.out) == (name == "small.json")


def test_what_was_trained_on_the_search_split_is_not_measured_there(
    ranks: RankFile, session: Session, write: Command, ranksearch: Command, tmp_path: Path
) -> None:
    network, measurement = untrained(session.subject, session.bases, ranks.configuration, ranks.form)
    file = tmp_path / "finetuned.safetensors"
    on_test = msgspec.structs.replace(measurement, split="test")
    save_compressed(network, msgspec.structs.replace(ranks, measured=on_test), file)
    left = ranksearch("evaluate", file, "--study", write(), "--batch", 1)
    assert left.code == 0, left.err
    assert "test" in left.out
    assert "search" not in left.out


def test_ranks_of_a_network_in_other_forms_are_those_of_a_new_one(
    folder: Path, ranks: RankFile, write: Command, ranksearch: Command, tmp_path: Path
) -> None:
    place = tmp_path / "[/odd] names"  # what rich would read as markup
    place.mkdir(parents=True)
    layer = next(name for name, r in ranks.configuration.layers.items() if isinstance(r, Tucker2))
    msgspec.structs.replace(ranks, layer_forms={layer: "merged-out"}).write(place / "m.json")
    left = ranksearch("evaluate", place / "m.json", "--study", write(), "--layers", "torch", "--batch", 1)
    assert left.code == 0, left.err
    assert "stored in the pivoted form" in left.out
    assert "merged-out:" not in left.out
    assert ranksearch("export", write(), "--from", place / "none.safetensors").err.count(f"{place}/none") == 1


def test_what_cannot_be_evaluated_is_refused_before_anything_is_measured(
    folder: Path, write: Command, ranksearch: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as changed:
        changed.setattr(evaluation, "study_subject", lambda *_, **__: pytest.fail("the network was made"))
        for name, layers, law in (
            ("none.json", [], "there is no such file"),
            ("small.json", ["--layers", "tork"], "--layers 'tork' is no runtime; did you mean 'torch'?"),
            ("small.onnx", ["--layers", "torch"], "has none any more"),
        ):
            left = ranksearch("evaluate", folder / name, "--study", write(), *layers)
            assert (left.code, law in left.err) == (2, True)
    for name, law in {"small.pt2": "can run code that it holds; --trust", "bare.onnx": "without ranks"}.items():
        left = ranksearch("evaluate", folder / name, "--study", write())
        assert (left.code, left.err.count("\n")) == (2, 1)
        assert f"{folder / name}: " in left.err
        assert law in left.err


def test_without_the_extra_there_is_pytorch_alone(
    folder: Path, write: Command, ranksearch: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "onnxscript", None)
    left = ranksearch("evaluate", folder / "small.safetensors", "--study", write(), "--batch", 1)
    assert left.code == 0
    assert (
        'no latency by onnxruntime: ONNX needs onnxscript, which is not installed: pip install "ranksearch[onnx]"'
        in (left.out)
    )
    assert not re.search(r"^\S+ +onnxruntime", left.out, re.MULTILINE)

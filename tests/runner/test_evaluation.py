"""``evaluate`` measures every kind of file beside the dense network, by every runtime that is there."""

import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from ranksearch.export import read_ranks, save_onnx
from ranksearch.layers import Form, network_cost
from ranksearch.runner.session import Session

Command = Callable[..., Any]
QUICK = {"training": {"images": 256}, "search": {"trials": 2, "sampler": "random", "baselines": []}}


def test_every_kind_of_file(
    write: Command, ranksearch: Command, session: Session, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("onnxscript", reason="ONNX is an extra")
    path = write(**QUICK)
    assert ranksearch("search", path).code == 0
    kinds = {"ranks": "a.json", "safetensors": "a.safetensors", "onnx": "a.onnx", "int8": "b.onnx", "program": "a.pt2"}
    runtimes = {
        "ranks": ["PyTorch", "onnxruntime"],
        "safetensors": ["PyTorch", "onnxruntime"],
        "onnx": ["onnxruntime"],
        "int8": ["onnxruntime"],
        "program": ["torch.export"],
    }
    said: dict[str, str] = {}
    for to, name in kinds.items():
        file = tmp_path / name
        left = ranksearch("export", path, "--select", "smallest", "--to", to, "-o", file)
        assert left.code == 0, left.err
        trust = ["--trust"] if to == "program" else []
        left = ranksearch("evaluate", file, "--study", path, "--batch", 1, "--batch", 3, *trust)
        assert left.code == 0, left.err
        said[to] = left.out
        rows = re.findall(rf"^({re.escape(name)}|dense) +([A-Za-z.]+) +[\d.]+ \(", left.out, re.MULTILINE)
        expected = [("dense", "PyTorch"), ("dense", "onnxruntime"), *((name, runtime) for runtime in runtimes[to])]
        assert sorted(rows) == sorted(expected)
        assert re.search(r"batch 1 +batch 3$", left.out, re.MULTILINE)
        if to == "ranks":
            continue
        assert f"{file.stat().st_size:,}" in left.out
        forms: tuple[Form, ...] = ("plain", "pivoted")
        for form in forms:
            cost = network_cost(session.subject.spec, read_ranks(tmp_path / "a.safetensors").configuration, form)
            assert f"{cost.params:,}" in left.out
            assert f"{cost.macs:,}" in left.out

    def accuracies(to: str) -> list[str]:
        (row,) = re.findall(rf"^{re.escape(kinds[to])} +([\d.]+)% +([\d.]+)%", said[to], re.MULTILINE)
        return [f"{float(value):.1f}" for value in row]

    assert accuracies("onnx") == accuracies("program")
    threads = torch.get_num_threads()
    assert f"Latency in ms, {threads} thread{'s' if threads > 1 else ''}: median" in said["onnx"]
    assert "holds ranks, no weights" in said["ranks"]

    left = ranksearch("evaluate", tmp_path / "a.pt2", "--study", path)
    assert left.code == 2
    assert "can run code that it holds; --trust" in left.err
    bare = save_onnx(session.subject.network, session.subject.splits.train.example(), tmp_path / "bare.onnx")
    left = ranksearch("evaluate", bare, "--study", path)
    assert left.code == 2
    assert "without ranks" in left.err
    monkeypatch.setitem(sys.modules, "onnxscript", None)
    left = ranksearch("evaluate", tmp_path / "a.safetensors", "--study", path)
    assert left.code == 0
    assert "no latency by onnxruntime" in left.out
    assert 'pip install "ranksearch[onnx]"' in left.out

"""ONNX files compute what the network does, for a batch of any size, in onnxruntime alone; ranks travel in them."""

import subprocess
import sys
from pathlib import Path
from typing import cast

import numpy as np
import pytest
import torch
from torch import nn

from ranksearch.errors import ExportError, RankError
from ranksearch.export import OnnxNetwork, onnx_file, save_onnx
from ranksearch.layers import Form
from ranksearch.records import RankFile

from .compressed_networks import built, collapsed

pytest.importorskip("onnxscript", reason="ONNX is an extra")

ALONE = """
import sys
import numpy, onnxruntime
session = onnxruntime.InferenceSession("network.onnx", providers=["CPUExecutionProvider"])
inputs = numpy.load("inputs.npy")
numpy.savez("outputs.npz", *[session.run(None, {"input": inputs[:n]})[0] for n in (1, 5)])
assert not {"torch", "ranksearch"} & set(sys.modules)
print(session.get_modelmeta().custom_metadata_map["ranksearch"])
"""


CASES = ["digits plain", "digits pivoted", "resnet20 pivoted", "vgg13 pivoted", "odd plain", "odd pivoted"]


@pytest.mark.parametrize("case", CASES)
def test_onnxruntime_alone_computes_the_same(case: str, tmp_path: Path) -> None:
    name, form = cast(tuple[str, Form], case.split())
    network, x = built(name)
    compressed, ranks = collapsed(network, x, form)
    path = save_onnx(compressed.train(), x[:1], tmp_path / "network.onnx", ranks)
    assert compressed.training, "the caller's network changed"
    inputs = torch.randn(5, *x.shape[1:])
    np.save(tmp_path / "inputs.npy", inputs.numpy())
    alone = subprocess.run([sys.executable, "-c", ALONE], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert alone.returncode == 0, alone.stderr
    assert RankFile.from_text(alone.stdout) == ranks
    with torch.inference_mode():
        expected = compressed.eval()(inputs)
    found = np.load(tmp_path / "outputs.npz")
    for images, key in ((1, "arr_0"), (5, "arr_1")):
        torch.testing.assert_close(torch.from_numpy(found[key]), expected[:images], rtol=1e-4, atol=1e-4)
    read = OnnxNetwork(path, threads=1)
    assert (read.ranks, read.threads) == (ranks, 1)
    torch.testing.assert_close(read(inputs), expected, rtol=1e-4, atol=1e-4)


def test_a_dense_network_has_no_ranks_and_torchs_threads(tmp_path: Path) -> None:
    network, x = built("digits")
    read = OnnxNetwork(save_onnx(network, x, tmp_path / "made" / "dense.onnx"))
    assert read.ranks is None
    assert read.threads == torch.get_num_threads()
    with torch.inference_mode():
        torch.testing.assert_close(read(x), network(x), rtol=1e-4, atol=1e-4)


def test_what_cannot_be_read_is_refused_in_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "text.onnx").write_text("no graph")
    for name in ("text", "missing"):
        with pytest.raises(ExportError, match=rf"{name}\.onnx: not a readable ONNX file") as caught:
            OnnxNetwork(tmp_path / f"{name}.onnx")
        assert "\n" not in str(caught.value)
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(ExportError, match=r'onnxruntime, which is not installed: pip install "ranksearch\[onnx\]"'):
        OnnxNetwork(tmp_path / "text.onnx")


def test_ranks_of_another_format_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(onnx_file.RankFile, "to_text", lambda self: '{"format": "ranksearch.ranks/9"}')
    network, x = nn.Linear(3, 2), torch.zeros(1, 3)
    path = save_onnx(network, x, tmp_path / "other.onnx", collapsed(*built("digits"), "plain")[1])
    with pytest.raises(RankError, match=r"other\.onnx.*ranksearch\.ranks/9"):
        OnnxNetwork(path)

"""int8 files are smaller, compute nearly the same in onnxruntime, and keep the ranks."""

from pathlib import Path

import pytest
import torch

from ranksearch.export import OnnxNetwork, save_int8, save_onnx
from ranksearch.layers import Form

from .compressed_networks import FORMS, built, collapsed

onnx = pytest.importorskip("onnx", reason="ONNX is an extra")
pytest.importorskip("onnxruntime", reason="ONNX is an extra")


@pytest.mark.parametrize("form", FORMS)
def test_weights_take_a_byte_each_and_outputs_stay_close(form: Form, tmp_path: Path) -> None:
    network, x = built("digits")
    compressed, ranks = collapsed(network, x, form)
    single = save_onnx(compressed, x, tmp_path / "float.onnx", ranks)
    images = torch.randn(256, *x.shape[1:])
    read = OnnxNetwork(save_int8(single, images.split(64), tmp_path / "made" / "int8.onnx"))
    assert read.ranks == ranks
    with torch.inference_mode():
        expected = compressed(images)
    error = float((read(images) - expected).norm() / expected.norm())
    assert 0 < error < 0.15
    for batch in (1, 3):
        torch.testing.assert_close(read(images[:batch]), read(images)[:batch], rtol=1e-4, atol=1e-4)
    graph = onnx.load(tmp_path / "made" / "int8.onnx").graph
    weights = [p for p in compressed.parameters() if p.ndim > 1]
    small = [t for t in graph.initializer if t.data_type == onnx.TensorProto.INT8 and len(t.dims) > 1]
    assert len(small) == len(weights)
    assert sum(len(onnx.numpy_helper.to_array(t).ravel()) for t in small) == sum(w.numel() for w in weights)
    assert all(abs(onnx.numpy_helper.to_array(t)).max() <= 64 for t in small)  # 7 bits

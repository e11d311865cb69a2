"""A file that computes something else is refused with numbers."""

import pytest
import torch
from torch import nn

from ranksearch.errors import ExportError
from ranksearch.export import require_same_outputs
from ranksearch.export.verification import TOLERANCE


def test_equal_outputs_pass_and_others_are_refused_with_numbers() -> None:
    network, inputs = nn.Linear(4, 3).requires_grad_(False).eval(), torch.randn(6, 4)
    largest = float(network(inputs).abs().max())
    assert require_same_outputs("a.onnx", network, network, inputs) == 0
    off = require_same_outputs("a.onnx", lambda x: network(x) + 0.5 * TOLERANCE * largest, network, inputs)
    assert off == pytest.approx(0.5 * TOLERANCE, rel=0.01)
    with pytest.raises(ExportError, match=r"a\.onnx: .* differ .* by 0\.1 of the largest, on 6 images; at most 0\.001"):
        require_same_outputs("a.onnx", lambda x: network(x) + 0.1 * largest, network, inputs)
    with pytest.raises(ExportError, match="by nan"):
        require_same_outputs("a.onnx", lambda x: network(x) * torch.nan, network, inputs)
    with pytest.raises(ExportError, match=r"gives \(6, 2\), the network \(6, 3\)"):
        require_same_outputs("a.onnx", lambda x: network(x)[:, :2], network, inputs)

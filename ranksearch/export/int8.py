"""int8 ONNX: weights and activations of a float32 ONNX file quantized after training, calibrated on training images."""

import logging
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from torch import Tensor

from .onnx_file import require


def save_int8(float_file: Path, batches: Iterable[Tensor], path: Path) -> Path:
    """Writes an ONNX file, whose metadata and input it keeps, with int8 weights and uint8 activations.

    By onnxruntime's static quantization: QDQ nodes, weights symmetric per output channel, activations by the smallest
    and largest value met. Weights take 7 of their 8 bits, since x86 processors without VNNI saturate at 8: what was
    measured here then holds there.

    Args:
        float_file: as :func:`~.onnx_file.save_onnx` writes it.
        batches: inputs as the network takes them, a few hundred in all.

    Raises:
        ExportError: the extra ``onnx`` is not installed.
    """
    quantization = require("onnxruntime.quantization")
    inputs = ({"input": batch.numpy(force=True)} for batch in batches)
    path.parent.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory() as folder, _quiet():
        prepared = Path(folder) / "prepared.onnx"  # shapes known, batch norms folded into the convolutions before them
        quantization.quant_pre_process(float_file, prepared)
        quantization.quantize_static(
            prepared,
            path,
            _Reader(inputs),
            per_channel=True,
            reduce_range=True,
            activation_type=quantization.QuantType.QUInt8,
            weight_type=quantization.QuantType.QInt8,
        )
    return path


class _Reader:
    """The calibration data as onnxruntime asks for it: one more, until there is None."""

    def __init__(self, inputs: Iterator[dict[str, Any]]) -> None:
        self.inputs = inputs

    def get_next(self) -> dict[str, Any] | None:
        return next(self.inputs, None)


@contextmanager
def _quiet() -> Iterator[None]:
    """Without the advice that onnxruntime logs on the root logger."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        yield
    finally:
        logging.disable(before)

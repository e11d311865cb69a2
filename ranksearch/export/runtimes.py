"""What runs a network or a layer where latency counts: PyTorch as it is, or onnxruntime."""

from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

from torch import Tensor, nn

from .onnx_file import OnnxNetwork, save_onnx

#: makes the function that is timed of a network, or a layer, and its input
Prepare = Callable[[nn.Module, Tensor], Callable[[Tensor], Tensor]]


def by_onnxruntime(network: nn.Module, x: Tensor) -> OnnxNetwork:
    """The network as onnxruntime runs it on the CPU, for any batch, with as many threads as torch has.

    Raises:
        ExportError: as :func:`~.onnx_file.save_onnx`.
    """
    with TemporaryDirectory() as folder:
        return OnnxNetwork(save_onnx(network, x[:1], Path(folder) / "network.onnx"))


#: name → how it runs a network
RUNTIMES: dict[str, Prepare] = {"torch": lambda network, x: network, "onnxruntime": by_onnxruntime}

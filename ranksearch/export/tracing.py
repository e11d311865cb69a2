"""A network as a graph of PyTorch operations with a batch of any size: what ONNX and program files are written from."""

import torch
from torch import Tensor, nn
from torch.export import Dim, ExportedProgram

from ..errors import ExportError, describe
from ..networks.copying import copy_network


def traced(network: nn.Module, example: Tensor) -> ExportedProgram:
    """The graph of a float32 copy of ``network`` on the CPU, in evaluation mode: (batch, …) → (batch, …).

    Args:
        network: dense or deployed; left as it is.
        example: an input as the network takes it, (n, …); the size of its batch does not matter.

    Raises:
        ExportError: the network's forward depends on values of its input, or on the size of the batch.
    """
    copied = copy_network(network).cpu().float().eval().requires_grad_(False)
    # two images, since a batch of one would be taken for a constant
    images = example[:1].cpu().expand(2, *example.shape[1:]).contiguous()
    try:
        return torch.export.export(copied, (images,), dynamic_shapes=({0: Dim("batch", min=1)},))
    except Exception as error:
        raise ExportError(
            f"{type(network).__name__} cannot be exported with a batch of any size ({describe(error)}); its forward "
            "must use no number that depends on the batch, nor choose by what it computed"
        ) from error

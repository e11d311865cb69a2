"""Whether what was written computes what it was written from."""

from collections.abc import Callable

import torch
from torch import Tensor, nn

from ..errors import ExportError

TOLERANCE = 1e-3  # of the largest output; float32 in another order of summation stays below 1e-5


def require_same_outputs(source: str, read: Callable[[Tensor], Tensor], network: nn.Module, inputs: Tensor) -> float:
    """The largest difference between the outputs of ``read`` and of ``network``, relative to the largest output.

    Args:
        source: the file that ``read`` runs, for the message.
        read: by the file's own runtime.
        network: float32, on the CPU, in evaluation mode.
        inputs: a batch as the network takes it.

    Raises:
        ExportError: above :data:`TOLERANCE`, not finite, or of another shape.
    """
    with torch.inference_mode():
        found, expected = read(inputs.clone()), network(inputs.clone())
    if found.shape != expected.shape:
        raise ExportError(f"{source}: read back, it gives {tuple(found.shape)}, the network {tuple(expected.shape)}")
    difference = float((found - expected).abs().max() / expected.abs().max().clamp(min=1e-12))
    if not difference <= TOLERANCE:
        raise ExportError(
            f"{source}: read back, its outputs differ from the network's by {difference:.2g} of the largest, on "
            f"{len(inputs)} images; at most {TOLERANCE:g} is allowed"
        )
    return difference

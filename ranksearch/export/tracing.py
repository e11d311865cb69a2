"""What both exporters trace: a copy of the network on the CPU, and an input whose batch may have any size."""

import copy

import torch
from torch import Tensor, nn

BATCH_DIMENSION = {0: torch.export.Dim("batch", min=1)}


def traced_network(network: nn.Module) -> nn.Module:
    """A copy on the CPU, in evaluation mode, without gradients."""
    return copy.deepcopy(network).cpu().eval().requires_grad_(False)


def traced_input(example: Tensor) -> Tensor:
    """A batch of two like the first of ``example``: a batch of one would be taken for a constant."""
    return example[:1].cpu().expand(2, *example.shape[1:]).contiguous()

"""A linear layer after a flatten, taken as the convolution that it is: one kernel as large as the image it sees.

Its weight (C_out, C·H·W) is the unfolding of a kernel (C_out, C, H, W). Tucker-2 of that kernel has a rank for the
channels alone, and a network whose weights lie in such a layer has smaller forms than an SVD of the matrix allows.
"""

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from ..errors import NetworkError, RankError
from ..layers import NetworkSpec, Shape
from .copying import copy_network
from .substitution import substitute
from .trace import trace


class FlattenedKernel(nn.Sequential):
    """Stands for a linear layer: rows (N, C·H·W) → images → a convolution of their whole size → rows (N, C_out).

    Attributes:
        kernel: the convolution, weight (C_out, C, H, W), to be compressed as any other.
        shape: (C, H, W).
    """

    kernel: nn.Conv2d

    def __init__(self, linear: nn.Linear, shape: Shape) -> None:
        super().__init__()
        channels, *size = shape
        self.shape = shape
        self.unflatten = nn.Unflatten(-1, shape)
        kernel = nn.utils.skip_init(
            nn.Conv2d, channels, linear.out_features, size, bias=linear.bias is not None,
            device=linear.weight.device, dtype=linear.weight.dtype,
        )  # fmt: skip
        with torch.no_grad():
            kernel.weight.copy_(linear.weight.view_as(kernel.weight))
            if kernel.bias is not None:
                kernel.bias.copy_(linear.bias)
        _learn_alike(kernel, linear)
        self.kernel = kernel
        self.flatten = nn.Flatten(-3)

    @torch.no_grad()
    def linear(self) -> nn.Linear:
        """The layer that it stands for, in storage of its own; of a kernel that is not compressed."""
        weight, bias = self.kernel.weight, self.kernel.bias
        made = nn.utils.skip_init(
            nn.Linear, weight[0].numel(), len(weight), bias=bias is not None, device=weight.device, dtype=weight.dtype
        )
        made.weight.copy_(weight.flatten(1))
        if bias is not None:
            made.bias.copy_(bias)
        _learn_alike(made, self.kernel)
        return made


def _learn_alike(made: nn.Conv2d | nn.Linear, of: nn.Conv2d | nn.Linear) -> None:
    """What the owner of one layer froze is frozen in the other."""
    for new, old in zip(made.parameters(), of.parameters(), strict=True):
        new.requires_grad_(old.requires_grad)


def flattened_layers(network: nn.Module, spec: NetworkSpec, example: Tensor) -> dict[str, Shape]:
    """The compressible linear layers whose input is a flattened image of more than one pixel: (C, H, W) by name.

    Args:
        spec: of the network, as :func:`~.walk.walk` finds it.
        example: a batch of inputs, of which one is used, on the network's device.

    Raises:
        NetworkError: there is none.
    """
    seen = trace(network, example[:1]).flattened
    shapes = {name: seen[layer] for name in spec.names if (layer := network.get_submodule(name)) in seen}
    if not shapes:
        raise NetworkError(
            'ranks.flattened = "kernel", but no compressible linear layer follows a flatten of an image of more than '
            'one pixel; leave the key out, or "linear"'
        )
    return shapes


def take_as_kernels(network: nn.Module, shapes: Mapping[str, Shape]) -> nn.Module:
    """A copy of ``network`` that computes the same, with a :class:`FlattenedKernel` for each linear layer named.

    Args:
        shapes: (C, H, W) by name; what is taken as a kernel already stays.

    Raises:
        RankError: no linear layer of that name and C·H·W inputs.
    """
    copied = copy_network(network)
    modules = dict(copied.named_modules(remove_duplicate=False))
    kernels: dict[nn.Module, nn.Module] = {}
    for name, shape in shapes.items():
        layer = modules.get(name)
        if isinstance(layer, FlattenedKernel) and layer.shape == shape:
            continue
        channels, height, width = shape
        if not isinstance(layer, nn.Linear) or layer.in_features != channels * height * width:
            raise RankError(
                f"{type(network).__name__} has no linear layer {name!r} of {channels}·{height}·{width} inputs to be "
                f"taken as a kernel, but {layer}"
            )
        kernels[layer] = FlattenedKernel(layer, shape)
    return substitute(copied, kernels)


def with_linear_layers(network: nn.Module) -> nn.Module:
    """A copy with the linear layers that were taken as kernels and are not compressed: what the user's network costs.

    A convolution of one position is slower than the matrix product that it is.
    """
    copied = copy_network(network)
    kernels = [m for m in copied.modules() if isinstance(m, FlattenedKernel) and isinstance(m.kernel, nn.Conv2d)]
    return substitute(copied, {m: m.linear() for m in kernels})


def kernel_shapes(network: nn.Module) -> dict[str, Shape]:
    """(C, H, W) of the layers that are taken as kernels, by name."""
    return {name: module.shape for name, module in network.named_modules() if isinstance(module, FlattenedKernel)}

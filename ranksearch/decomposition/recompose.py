"""From a deployed layer back to its factors, and to the dense layer that computes the same."""

import copy

import torch
from torch import Tensor, nn

from .deployed import DenseLayer, resized
from .factors import Factors
from .pivoted import PivotedInput, PivotedOutput


@torch.no_grad()
def recompose(deployed: nn.Module) -> tuple[DenseLayer, Factors | None]:
    """The dense layer that a deployed layer stands for, and its factors.

    Args:
        deployed: as :func:`~.deployed.deploy` makes it, trained perhaps; left as it is.

    Returns:
        A layer with the composed kernel and the effective bias, (C_out, C_in, kH, kW), and the factors, None where
        the layer is dense. A mode whose 1×1 is absorbed into the core comes back at full rank, with the identity.

    Raises:
        TypeError: a module that is no deployed layer.
    """
    parts = dict(deployed.named_children())
    core = parts.get("core", deployed)
    if not isinstance(core, nn.Conv2d | nn.Linear):
        raise TypeError(f"{type(deployed).__name__} is no compressed layer: it has no core")
    if not parts:
        return copy.deepcopy(core), None
    weight, bias = core.weight, core.bias
    factor_in = _input_matrix(parts["factor_in"]) if "factor_in" in parts else torch.eye(weight.shape[1]).to(weight)
    if "factor_out" in parts:
        factor_out, bias = _output_matrix(parts["factor_out"], bias)
    else:
        factor_out = torch.eye(weight.shape[0]).to(weight)
    kernel = tuple(weight.shape[2:])
    if kernel in ((), (1, 1)):
        factors = Factors(None, factor_out, factor_in @ weight.flatten(1).T)
    else:
        factors = Factors(weight.clone(), factor_out, factor_in)
    dense = resized(core, len(factors.factor_in), len(factor_out), bias=bias is not None)
    dense.weight.copy_(factors.kernel().reshape(dense.weight.shape))
    if bias is not None:
        dense.get_parameter("bias").copy_(bias)
    return dense, factors


def _input_matrix(part: nn.Module) -> Tensor:
    """(C_in, rank_in) of the 1×1 before a core."""
    if not isinstance(part, PivotedInput):
        return part.get_parameter("weight").flatten(1).T
    mix = part.mix.weight.flatten(1)
    matrix = mix.new_zeros(len(part.pivots) + len(part.others), len(mix))
    matrix[part.pivots, torch.arange(len(mix), device=mix.device)] = 1
    matrix[part.others] = mix.T
    return matrix


def _output_matrix(part: nn.Module, core_bias: Tensor | None) -> tuple[Tensor, Tensor | None]:
    """(C_out, rank_out) of the 1×1 after a core, and the bias of the whole."""
    if not isinstance(part, PivotedOutput):
        bias = part._parameters["bias"]
        return part.get_parameter("weight").flatten(1), bias
    mix = part.mix.weight.flatten(1)
    matrix = torch.cat([torch.eye(mix.shape[1]).to(mix), mix])[part.order]
    if core_bias is None:
        return matrix, None
    assert part.mix.bias is not None  # both layers of a pivoted output carry the bias, or none
    return matrix, torch.cat([core_bias, part.mix.bias + mix @ core_bias])[part.order]

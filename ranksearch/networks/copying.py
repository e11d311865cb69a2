"""A copy of a network, whatever it keeps on itself."""

import copy
from collections.abc import Iterable
from typing import TypeVar

from torch import Tensor, nn
from torch.utils._pytree import tree_leaves

from ..errors import NetworkError, describe

Network = TypeVar("Network", bound=nn.Module)


def uncompiled(network: Network) -> Network:
    """What ``torch.compile`` made ``network`` of, or itself: layers keep their names so."""
    return getattr(network, "_orig_mod", network)


def unfrozen(network: Network) -> Network:
    """``network`` itself; where nothing of it wants a gradient, as one is loaded for inference, everything does now."""
    floating = [parameter for parameter in network.parameters() if parameter.is_floating_point()]
    if not any(parameter.requires_grad for parameter in floating):
        for parameter in floating:
            parameter.requires_grad_(True)
    return network


def frozen(network: nn.Module) -> tuple[str, ...]:
    """Names of the parameters that their owner froze."""
    return tuple(name for name, parameter in network.named_parameters() if not parameter.requires_grad)


def copy_network(network: Network, shared: Iterable[object] = ()) -> Network:
    """A deep copy, of what ``torch.compile`` was given where that made it.

    Tensors that were computed with gradients, an activation kept in an attribute or the weight of the old
    ``weight_norm``, which ``copy.deepcopy`` refuses, are copied without their history.

    Args:
        shared: what the copy shares with the original.

    Raises:
        NetworkError: it keeps something that cannot be copied, a view of its own weights say.
    """
    network = uncompiled(network)
    memo: dict[int, object] = {id(constant): constant for constant in shared}
    for module in network.modules():
        for kept in tree_leaves(vars(module)):
            if isinstance(kept, Tensor) and not kept.is_leaf and not isinstance(kept._base, nn.Parameter):
                memo[id(kept)] = kept.detach().clone()
    try:
        return copy.deepcopy(network, memo)
    except (TypeError, RuntimeError) as error:
        raise NetworkError(
            f"{type(network).__name__} cannot be copied ({describe(error)}), and every trial trains a copy: keep what "
            "cannot be (a lock, a file, a generator) out of its attributes"
        ) from error

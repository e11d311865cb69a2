"""A copy of a network, whatever it keeps on itself."""

import copy
from collections.abc import Iterable
from typing import TypeVar

from torch import Tensor, nn
from torch.utils._pytree import tree_leaves

from ..errors import NetworkError, describe

Network = TypeVar("Network", bound=nn.Module)


def copy_network(network: Network, shared: Iterable[object] = ()) -> Network:
    """A deep copy. Tensors that were computed with gradients, an activation kept in an attribute or the weight of the
    old ``weight_norm``, which ``copy.deepcopy`` refuses, are copied without their history.

    Args:
        shared: what the copy shares with the original.

    Raises:
        NetworkError: it keeps something that cannot be copied.
    """
    memo: dict[int, object] = {id(constant): constant for constant in shared}
    for module in network.modules():
        for kept in tree_leaves(vars(module)):
            if isinstance(kept, Tensor) and not kept.is_leaf:
                memo[id(kept)] = kept.detach().clone()
    try:
        return copy.deepcopy(network, memo)
    except (TypeError, RuntimeError) as error:
        raise NetworkError(
            f"{type(network).__name__} cannot be copied ({describe(error)}), and every trial trains a copy: keep what "
            "cannot be (a lock, a file, a generator) out of its attributes"
        ) from error

"""Fewer operations for the same function: batch norm folded into convolutions, adjacent 1×1 layers multiplied.

For files that carry their own graph (ONNX, ``torch.export``): the result is no longer the user's model class.
"""

import copy
from collections import Counter
from typing import Any

import torch
from torch import Tensor, fx, nn
from torch.fx.experimental.optimization import fuse
from torch.nn.modules.batchnorm import _BatchNorm

from ..networks.copying import copy_network

Pointwise = nn.Conv2d | nn.Linear


def streamline(network: nn.Module) -> nn.Module:
    """A network in evaluation mode with batch norms folded and adjacent 1×1 layers merged where that is cheaper.

    Where a 1×1 convolution (or linear layer) is read by one other and by nothing else, without a non-linearity
    between, the two are one matrix: the low-rank factors of neighbouring layers meet so in linear bottlenecks.

    Args:
        network: left as it is.

    Returns:
        A graph module; the network itself where its forward cannot be traced (it branches on its input).
    """
    try:
        traced = fx.symbolic_trace(copy_network(network).eval())
        _own_convolutions(traced)
        fused = fuse(traced, inplace=True, no_trace=True)
    except Exception:  # whatever the user's forward raises under symbolic tracing
        return network
    assert isinstance(fused, fx.GraphModule)
    return merge_pointwise(fused)


def _own_convolutions(traced: fx.GraphModule) -> None:
    """Gives a convolution that is called several times a copy for each batch norm: each is folded into its own."""
    modules = dict(traced.named_modules())
    calls = [node for node in traced.graph.nodes if node.op == "call_module"]
    uses = Counter(node.target for node in calls)
    for place, node in enumerate(calls):
        normed = [user for user in node.users if isinstance(modules.get(str(user.target)), _BatchNorm)]
        if uses[node.target] > 1 and normed:
            own = f"{node.target}_{place}"
            traced.add_submodule(own, copy.deepcopy(modules[str(node.target)]))
            node.target = own


def merge_pointwise(traced: fx.GraphModule) -> fx.GraphModule:
    """``traced`` with adjacent 1×1 layers multiplied where the product has fewer weights, changed in place."""
    modules = dict(traced.named_modules())
    calls = [node for node in traced.graph.nodes if node.op == "call_module"]
    uses = Counter(node.target for node in calls)
    for node in calls:
        first_node = node.args[0] if node.args else node.kwargs.get("input")
        if not (isinstance(first_node, fx.Node) and first_node.op == "call_module" and len(first_node.users) == 1):
            continue
        if uses[node.target] > 1 or uses[first_node.target] > 1:  # a shared layer has other neighbours elsewhere
            continue
        first, second = modules[str(first_node.target)], modules[str(node.target)]
        if not (_pointwise(first, strided=False) and _pointwise(second, strided=True) and type(first) is type(second)):
            continue
        merged = _product(first, second)
        separate = sum(layer.get_parameter("weight").numel() for layer in (first, second))
        if merged.weight.numel() >= separate:
            continue
        parent, _, name = str(node.target).rpartition(".")
        setattr(traced.get_submodule(parent), name, merged)
        modules[str(node.target)] = merged
        node.args, node.kwargs = first_node.args, first_node.kwargs
        traced.graph.erase_node(first_node)
    traced.delete_all_unused_submodules()
    traced.recompile()
    return traced


def _pointwise(layer: nn.Module, *, strided: bool) -> bool:
    if isinstance(layer, nn.Linear):
        return True
    if not isinstance(layer, nn.Conv2d) or layer.kernel_size != (1, 1) or layer.groups != 1:
        return False
    unpadded = layer.padding in (0, (0, 0), "valid", "same")
    return unpadded and (strided or layer.stride == (1, 1))


@torch.no_grad()
def _product(first: Pointwise, second: Pointwise) -> Pointwise:
    """The layer that computes ``second(first(x))``."""
    a, b = first.weight.flatten(1), second.weight.flatten(1)
    bias: Tensor | None = second.bias
    if first.bias is not None:
        bias = b @ first.bias + (second.bias if second.bias is not None else 0)
    made: dict[str, Any] = {"bias": bias is not None, "device": b.device, "dtype": b.dtype}
    merged: Pointwise
    if isinstance(second, nn.Linear):
        merged = nn.utils.skip_init(nn.Linear, a.shape[1], b.shape[0], **made)
    else:
        merged = nn.utils.skip_init(nn.Conv2d, a.shape[1], b.shape[0], 1, stride=second.stride, **made)
    merged.weight.copy_((b @ a).reshape(merged.weight.shape))
    if bias is not None:
        merged.get_parameter("bias").copy_(bias)
    return merged.eval()

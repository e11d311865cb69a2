"""A compressed layer as it is stored and run: a sequence of ordinary layers, in the plain or the pivoted form.

Plain (Kim et al. 2016): 1×1 (C_in → rank_in), core (rank_in → rank_out) with the dense layer's stride, padding,
padding mode and dilation, 1×1 (rank_out → C_out). Pivoted: see :mod:`.pivoted`; the function is the same. An SVD has
no 1×1 before: its first layer carries the stride and padding. A mode at full rank is absorbed into the core, and a
layer of which nothing else is left is an ordinary dense one. Merged: see :func:`ranksearch.layers.as_run`. Parameters
count exactly as :mod:`ranksearch.layers.cost`.
"""

import copy
from collections import OrderedDict
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils import skip_init

from ..errors import RankError
from ..layers import Dense, LayerForm, LayerRanks, Tucker2, as_run
from ..layers.configuration import as_tuple
from .factors import Factors
from .pivot import pivot
from .pivoted import PivotedInput, PivotedOutput

DenseLayer = nn.Conv2d | nn.Linear


def _require_ranks(dense: DenseLayer, ranks: LayerRanks) -> None:
    kernel = tuple(dense.weight.shape[2:])
    channels = dense.weight.shape[:2]
    limits = channels if isinstance(ranks, Tucker2) else (min(channels),)
    fits = isinstance(ranks, Tucker2) == (kernel not in ((), (1, 1)))
    if not fits or any(not 1 <= rank <= limit for rank, limit in zip(as_tuple(ranks), limits, strict=True)):
        law = "Tucker-2 is for k×k convolutions, an SVD for 1×1 convolutions and linear layers, within its channels"
        raise RankError(f"{ranks} does not fit {dense}: {law}")


def _pointwise(dense: DenseLayer, channels_in: int, channels_out: int, *, bias: bool = False) -> DenseLayer:
    """A 1×1 layer of the dense layer's kind, dtype and device; no generator is touched."""
    made: dict[str, Any] = {"bias": bias, "device": dense.weight.device, "dtype": dense.weight.dtype}
    if isinstance(dense, nn.Conv2d):
        return skip_init(nn.Conv2d, channels_in, channels_out, 1, **made)
    return skip_init(nn.Linear, channels_in, channels_out, **made)


def resized(dense: DenseLayer, channels_in: int, channels_out: int, *, bias: bool) -> DenseLayer:
    """The dense layer with other numbers of channels."""
    if not isinstance(dense, nn.Conv2d):
        return _pointwise(dense, channels_in, channels_out, bias=bias)
    return skip_init(
        nn.Conv2d,
        channels_in,
        channels_out,
        dense.kernel_size,
        stride=dense.stride,
        padding=dense.padding,
        padding_mode=dense.padding_mode,
        dilation=dense.dilation,
        bias=bias,
        device=dense.weight.device,
        dtype=dense.weight.dtype,
    )


def skeleton(dense: DenseLayer, ranks: LayerRanks, form: LayerForm) -> nn.Module:
    """The compressed layer with uninitialised weights, to be filled by ``load_state_dict``.

    Args:
        dense: the layer to be replaced: its settings, bias, dtype, device, mode and ``requires_grad`` are taken over.
        ranks: within the layer's channels; :class:`Dense` gives a copy of the dense layer.

    Raises:
        RankError: ranks of another format, or beyond the layer's channels; a form that is not the format's.
    """
    if not isinstance(ranks, Dense):
        _require_ranks(dense, ranks)
    channels_out, channels_in = dense.weight.shape[:2]
    ranks, form = as_run(ranks, form, channels_out, channels_in)
    if isinstance(ranks, Dense):
        return copy.deepcopy(dense)
    has_bias = dense.bias is not None
    rank_out, rank_in = as_tuple(ranks) if isinstance(ranks, Tucker2) else (ranks.rank, channels_in)
    pivoted = form == "pivoted"
    # An SVD's plain form keeps both of its layers at any rank: it has no core to absorb into.
    absorbed_out = rank_out == channels_out and (pivoted or isinstance(ranks, Tucker2))

    parts: OrderedDict[str, nn.Module] = OrderedDict()
    if rank_in < channels_in and pivoted:
        mix = _pointwise(dense, channels_in - rank_in, rank_in)
        parts["factor_in"] = PivotedInput(mix, channels_in, rank_in)
    elif rank_in < channels_in:
        parts["factor_in"] = _pointwise(dense, channels_in, rank_in)
    parts["core"] = resized(dense, rank_in, rank_out, bias=has_bias and (pivoted or absorbed_out))
    if not absorbed_out and pivoted:
        mix = _pointwise(dense, rank_out, channels_out - rank_out, bias=has_bias)
        parts["factor_out"] = PivotedOutput(mix, channels_out)
    elif not absorbed_out:
        parts["factor_out"] = _pointwise(dense, rank_out, channels_out, bias=has_bias)

    made = nn.Sequential(parts) if len(parts) > 1 else parts["core"]
    trains = {"weight": dense.weight.requires_grad, "bias": dense.bias is not None and dense.bias.requires_grad}
    for name, parameter in made.named_parameters():
        parameter.requires_grad_(trains[name.rpartition(".")[2]])
    return made.train(dense.training)


@torch.no_grad()
def deploy(dense: DenseLayer, factors: Factors, form: LayerForm) -> nn.Module:
    """The layer that computes what ``dense`` would with the kernel ``factors.kernel()``.

    Args:
        dense: gives the bias and the settings; its weight is not read.
        form: ``"plain"``, ``"pivoted"``, or another of :func:`~ranksearch.layers.layer_forms`.

    Raises:
        RankError: factors that do not fit the layer.
    """
    made = skeleton(dense, factors.ranks, form)
    parts = dict(made.named_children())
    core, factor_out, factor_in, bias = factors.core, factors.factor_out, factors.factor_in, dense.bias
    state: dict[str, Tensor] = {}

    if core is None:
        core = factor_in.T[:, :, None, None]
    elif "factor_in" not in parts:
        core = _mix_in(core, factor_in)
    elif form != "pivoted":
        state["factor_in.weight"] = factor_in.T
    else:
        split = pivot(factor_in)
        core = _mix_in(core, split.block)
        state |= {
            "factor_in.pivots": split.pivots,
            "factor_in.others": split.others,
            "factor_in.mix.weight": split.transfer.T,
        }

    core_bias = bias
    if "factor_out" not in parts:
        core = _mix_out(core, factor_out)
    elif form != "pivoted":
        state["factor_out.weight"] = factor_out
        if bias is not None:
            state["factor_out.bias"], core_bias = bias, None
    else:
        split = pivot(factor_out)
        core = _mix_out(core, split.block)
        state |= {"factor_out.order": split.order, "factor_out.mix.weight": split.transfer}
        if bias is not None:  # the core adds the pivots' bias; the others' is corrected for what they receive of it
            core_bias = bias[split.pivots]
            state["factor_out.mix.bias"] = bias[split.others] - split.transfer.to(bias) @ core_bias

    prefix = "core." if parts else ""
    state[f"{prefix}weight"] = core
    if core_bias is not None:
        state[f"{prefix}bias"] = core_bias
    made.load_state_dict({name: state[name].reshape(like.shape) for name, like in made.state_dict().items()})
    return made


def _mix_out(core: Tensor, matrix: Tensor) -> Tensor:
    """core ×_0 matrix."""
    return torch.tensordot(matrix, core, dims=1)


def _mix_in(core: Tensor, matrix: Tensor) -> Tensor:
    """core ×_1 matrix."""
    return torch.einsum("oihw,ji->ojhw", core, matrix)

"""Exact parameters and multiply-accumulates of a layer and of a network, dense or compressed, in both forms.

Plain form (Kim et al. 2016): 1×1 (C_in → rank_in, at input resolution), core k×k (rank_in → rank_out),
1×1 (rank_out → C_out); a mode at full rank has no 1×1 of its own. Pivoted form: the 1×1 on the output
side computes only C_out − rank_out channels, the one on the input side reads only C_in − rank_in.
Biases are counted. The formulas take integers or arrays that broadcast.

A single layer may also run *merged*, its 1×1 on one side multiplied into the core, or *dense*, everything multiplied
out: more arithmetic in fewer, larger operations, which may be the faster.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Literal

import msgspec
import numpy as np
from numpy.typing import NDArray

from ..errors import RankError
from .configuration import Dense, LayerRanks, RankConfiguration, Tucker2, as_tuple
from .spec import LayerSpec, NetworkSpec

Form = Literal["plain", "pivoted"]
LayerForm = Literal["plain", "pivoted", "merged-in", "merged-out", "dense"]


def layer_forms(ranks: LayerRanks) -> tuple[LayerForm, ...]:
    """The forms in which a layer of these ranks can run; all compute the same."""
    if isinstance(ranks, Dense):
        return ("dense",)
    return ("plain", "pivoted", "merged-in", "merged-out", "dense") if isinstance(ranks, Tucker2) else (
        "plain", "pivoted", "dense",
    )  # fmt: skip


def as_run(ranks: LayerRanks, form: LayerForm, channels_out: int, channels_in: int) -> tuple[LayerRanks, Form]:
    """Ranks and form of the operations that a layer is run by: merging a side is that side at full rank.

    Raises:
        RankError: the layer cannot run in that form.

    >>> as_run(Tucker2(8, 4), "merged-in", 64, 32)
    (Tucker2(rank_out=8, rank_in=32), 'plain')
    """
    if form not in layer_forms(ranks) and not isinstance(ranks, Dense):
        raise RankError(f"{ranks} runs in the forms {', '.join(layer_forms(ranks))}, not {form!r}")
    if form == "dense" or isinstance(ranks, Dense):
        return (ranks if isinstance(ranks, Dense) else Dense("run dense")), "plain"
    if form == "merged-in" and isinstance(ranks, Tucker2):
        return Tucker2(ranks.rank_out, channels_in), "plain"
    if form == "merged-out" and isinstance(ranks, Tucker2):
        return Tucker2(channels_out, ranks.rank_in), "plain"
    return ranks, "pivoted" if form == "pivoted" else "plain"


def _side(channels: int, rank: Any, form: Form) -> Any:
    """Weights of the 1×1 convolution between ``channels`` and ``rank``; zero at full rank."""
    return (channels - rank) * rank if form == "pivoted" else np.where(rank == channels, 0, channels * rank)


def _pieces(spec: LayerSpec, ranks: tuple[Any, ...], form: Form) -> tuple[Any, Any, Any]:
    """Weights of the input side, the core and the output side."""
    if spec.format == "tucker2":
        rank_out, rank_in = ranks
        return (
            _side(spec.channels_in, rank_in, form),
            spec.kernel_size * rank_out * rank_in,
            _side(spec.channels_out, rank_out, form),
        )
    (rank,) = ranks
    output = (spec.channels_out - rank) * rank if form == "pivoted" else spec.channels_out * rank
    return 0, spec.channels_in * rank, output


def _params(spec: LayerSpec, ranks: tuple[Any, ...], form: Form) -> Any:
    return sum(_pieces(spec, ranks, form)) + spec.bias * spec.channels_out


def _macs(spec: LayerSpec, ranks: tuple[Any, ...], form: Form) -> Any:
    side_in, core, side_out = _pieces(spec, ranks, form)
    return side_in * spec.positions_in + (core + side_out) * spec.positions_out


def _grid(spec: LayerSpec) -> tuple[NDArray[np.int64], ...]:
    if spec.format == "tucker2":
        return np.arange(1, spec.channels_out + 1)[:, None], np.arange(1, spec.channels_in + 1)[None, :]
    return (np.arange(1, min(spec.channels_out, spec.channels_in) + 1),)


def params_table(spec: LayerSpec, form: Form) -> NDArray[np.int64]:
    """Parameters of every rank pair, ``[rank_out − 1, rank_in − 1]`` (or ``[rank − 1]``), bias included."""
    return np.asarray(_params(spec, _grid(spec), form))


def macs_table(spec: LayerSpec, form: Form) -> NDArray[np.int64]:
    """Multiply-accumulates per image of every rank pair, indexed as :func:`params_table`."""
    return np.asarray(_macs(spec, _grid(spec), form))


def layer_params(spec: LayerSpec, ranks: LayerRanks, form: LayerForm) -> int:
    """Parameters of one layer, bias included.

    >>> spec = LayerSpec(name="c", kind="conv2d", channels_out=64, channels_in=64, kernel=(3, 3))
    >>> from .configuration import Tucker2
    >>> [layer_params(spec, Tucker2(32, 32), form) for form in ("plain", "pivoted")]
    [13312, 11264]
    """
    run, counted = as_run(ranks, form, spec.channels_out, spec.channels_in)
    return spec.params if isinstance(run, Dense) else int(_params(spec, as_tuple(run), counted))


def layer_macs(spec: LayerSpec, ranks: LayerRanks, form: LayerForm) -> int:
    """Multiply-accumulates of one layer per image."""
    run, counted = as_run(ranks, form, spec.channels_out, spec.channels_in)
    return spec.macs if isinstance(run, Dense) else int(_macs(spec, as_tuple(run), counted))


class NetworkCost(msgspec.Struct, frozen=True):
    """What a network stores and computes, and how that compares with the dense one."""

    params: int
    macs: int
    compression_ratio: float
    mac_ratio: float


def network_cost(
    network: NetworkSpec,
    configuration: RankConfiguration,
    form: Form,
    layer_forms: Mapping[str, LayerForm] = MappingProxyType({}),
) -> NetworkCost:
    """Exact cost of the whole network, untouched layers, biases and norms included.

    Args:
        layer_forms: of the layers that run in another form than ``form``.
    """
    counted = [(s, configuration[s.name], layer_forms.get(s.name, form)) for s in network.layers]
    params = network.fixed_params + sum(layer_params(*layer) for layer in counted)
    macs = network.fixed_macs + sum(layer_macs(*layer) for layer in counted)
    return NetworkCost(params, macs, network.params / params, network.macs / max(macs, 1))

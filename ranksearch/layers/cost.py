"""Exact parameters and multiply-accumulates of a layer and of a network, dense or compressed, in both forms.

Plain form (Kim et al. 2016): 1×1 (C_in → rank_in, at input resolution), core k×k (rank_in → rank_out),
1×1 (rank_out → C_out); a mode at full rank has no 1×1 of its own. Pivoted form: the 1×1 on the output
side computes only C_out − rank_out channels, the one on the input side reads only C_in − rank_in.
Biases are counted. The formulas take integers or arrays that broadcast.
"""

from typing import Any, Literal

import msgspec
import numpy as np
from numpy.typing import NDArray

from .configuration import Dense, LayerRanks, RankConfiguration, as_tuple
from .spec import LayerSpec, NetworkSpec

Form = Literal["plain", "pivoted"]


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


def layer_params(spec: LayerSpec, ranks: LayerRanks, form: Form) -> int:
    """Parameters of one layer, bias included.

    >>> spec = LayerSpec(name="c", kind="conv2d", channels_out=64, channels_in=64, kernel=(3, 3))
    >>> from .configuration import Tucker2
    >>> [layer_params(spec, Tucker2(32, 32), form) for form in ("plain", "pivoted")]
    [13312, 11264]
    """
    return spec.params if isinstance(ranks, Dense) else int(_params(spec, as_tuple(ranks), form))


def layer_macs(spec: LayerSpec, ranks: LayerRanks, form: Form) -> int:
    """Multiply-accumulates of one layer per image."""
    return spec.macs if isinstance(ranks, Dense) else int(_macs(spec, as_tuple(ranks), form))


class NetworkCost(msgspec.Struct, frozen=True):
    """What a network stores and computes, and how that compares with the dense one."""

    params: int
    macs: int
    compression_ratio: float
    mac_ratio: float


def network_cost(network: NetworkSpec, configuration: RankConfiguration, form: Form) -> NetworkCost:
    """Exact cost of the whole network, untouched layers, biases and norms included."""
    params = network.fixed_params + sum(layer_params(s, configuration[s.name], form) for s in network.layers)
    macs = network.fixed_macs + sum(layer_macs(s, configuration[s.name], form) for s in network.layers)
    return NetworkCost(params, macs, network.params / params, network.macs / max(macs, 1))

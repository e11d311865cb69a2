"""Cost formulas against counts of modules that were built and run."""

import itertools
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from ranksearch.decomposition import skeleton
from ranksearch.layers import (
    Dense,
    Form,
    LayerRanks,
    LayerSpec,
    NetworkSpec,
    RankConfiguration,
    Svd,
    Tucker2,
    full_ranks,
    layer_forms,
    layer_macs,
    layer_params,
    legal_mask,
    macs_table,
    network_cost,
    params_table,
)

FORMS: list[Form] = ["plain", "pivoted"]


def counted_params(module: nn.Module) -> int:
    return sum(p.numel() for p in module.parameters())


def counted_macs(module: nn.Module, x: Tensor) -> int:
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        module(x)
    return counter.get_total_flops() // 2


def legal_ranks(spec: LayerSpec) -> list[LayerRanks]:
    pairs = [tuple(map(int, p + 1)) for p in np.argwhere(legal_mask(spec))]
    return [Svd(*p) if len(p) == 1 else Tucker2(*p) for p in pairs]


@st.composite
def convolutions(draw: st.DrawFn) -> nn.Conv2d:
    """Any stride, padding in number, by axis or by word, every padding mode, dilation, bias, kernels of any shape."""
    sides = st.integers(1, 3)
    stride = draw(st.tuples(st.integers(1, 2), st.integers(1, 2)))
    padding: list[Any] = [0, 1, (0, 1), "valid"] + (["same"] if stride == (1, 1) else [])
    return nn.Conv2d(
        draw(st.integers(1, 7)),
        draw(st.integers(1, 7)),
        draw(st.tuples(sides, sides)),
        stride=stride,
        padding=draw(st.sampled_from(padding)),
        padding_mode=draw(st.sampled_from(["zeros", "reflect", "replicate", "circular"])),
        dilation=draw(st.sampled_from([1, 2, (1, 2)])),
        bias=draw(st.booleans()),
    )


@settings(max_examples=60, deadline=None)
@given(convolutions(), st.data())
def test_a_convolution_costs_what_is_built_and_run(conv: nn.Conv2d, draw: st.DataObject) -> None:
    x = torch.randn(1, conv.in_channels, 8, 7)
    spec = LayerSpec(
        name="conv",
        kind="conv2d",
        channels_out=conv.out_channels,
        channels_in=conv.in_channels,
        kernel=conv.kernel_size,
        bias=conv.bias is not None,
        positions_in=8 * 7,
        positions_out=conv(x)[0, 0].numel(),
    )
    assert (layer_params(spec, Dense(), "plain"), layer_macs(spec, Dense(), "plain")) == (spec.params, spec.macs)
    assert (counted_params(conv), counted_macs(conv, x)) == (spec.params, spec.macs)
    for ranks in draw.draw(st.lists(st.sampled_from(legal_ranks(spec)), min_size=1, max_size=5)):
        for form in layer_forms(ranks):
            built = skeleton(conv, ranks, form)
            assert layer_params(spec, ranks, form) == counted_params(built)
            assert layer_macs(spec, ranks, form) == counted_macs(built, x)


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 9), st.integers(1, 9), st.booleans(), st.sampled_from([(1,), (1, 5)]), st.sampled_from(FORMS))
def test_a_linear_layer_costs_what_is_built_and_run(
    in_: int, out: int, bias: bool, leading: tuple[int, ...], form: Form
) -> None:
    dense, rows = nn.Linear(in_, out, bias=bias), leading[-1]
    x = torch.randn(*leading, in_)
    spec = LayerSpec(
        name="fc", kind="linear", channels_out=out, channels_in=in_, bias=bias, positions_in=rows, positions_out=rows
    )
    assert (counted_params(dense), counted_macs(dense, x)) == (spec.params, spec.macs)
    for ranks in legal_ranks(spec):
        built = skeleton(dense, ranks, form)
        assert layer_params(spec, ranks, form) == counted_params(built)
        assert layer_macs(spec, ranks, form) == counted_macs(built, x)


SPECS = [
    LayerSpec(name=f"{out}×{in_}×{kernel}", kind="conv2d", channels_out=out, channels_in=in_, kernel=kernel)
    for out, in_, kernel in itertools.product([1, 2, 5, 16], [1, 3, 16], [(1, 1), (3, 3), (1, 2), (5, 1)])
]


channels, sides = st.integers(1, 48), st.integers(1, 5)
shape: dict[str, Any] = {"channels_out": channels, "channels_in": channels, "bias": st.booleans()}
specs = st.one_of(
    st.builds(LayerSpec, name=st.just("fc"), kind=st.just("linear"), **shape),
    st.builds(LayerSpec, name=st.just("conv"), kind=st.just("conv2d"), kernel=st.tuples(sides, sides), **shape),
)


@given(specs)
def test_pivoted_parameters_rise_strictly_to_the_dense_count(spec: LayerSpec) -> None:
    """Within the legal ranks: a network can never grow, and every rank that is dropped saves."""
    params, legal = params_table(spec, "pivoted"), legal_mask(spec)
    assert params[legal].max() == spec.params
    for axis in range(params.ndim):
        both = np.logical_and(*(np.delete(legal, edge, axis) for edge in (0, -1)))
        assert (np.diff(params, axis=axis)[both] > 0).all()


@given(specs)
def test_pivoted_is_never_larger_than_plain(spec: LayerSpec) -> None:
    assert (params_table(spec, "pivoted") <= params_table(spec, "plain")).all()
    assert (macs_table(spec, "pivoted") <= macs_table(spec, "plain")).all()


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("spec", SPECS, ids=lambda s: s.name)
def test_tables_hold_what_the_functions_say(spec: LayerSpec, form: Form) -> None:
    params, macs = params_table(spec, form), macs_table(spec, form)
    assert params.shape == macs.shape == legal_mask(spec).shape
    for ranks in legal_ranks(spec):
        index = (ranks.rank - 1,) if isinstance(ranks, Svd) else (ranks.rank_out - 1, ranks.rank_in - 1)
        assert params[index] == layer_params(spec, ranks, form)
        assert macs[index] == layer_macs(spec, ranks, form)


def test_the_cost_of_a_network_adds_up() -> None:
    layers = (
        LayerSpec(name="a", kind="conv2d", channels_out=8, channels_in=4, kernel=(3, 3), bias=True, positions_out=10),
        LayerSpec(name="b", kind="linear", channels_out=5, channels_in=8),
    )
    network = NetworkSpec(layers=layers, params=296 + 40 + 100, macs=2880 + 40 + 7)
    assert (network.fixed_params, network.fixed_macs) == (100, 7)
    dense = network_cost(network, RankConfiguration({}), "plain")
    assert (dense.compression_ratio, dense.mac_ratio) == (1.0, 1.0)
    halved = network_cost(network, RankConfiguration({"a": Tucker2(4, 2)}), "plain")
    assert halved.params == 100 + 40 + (4 * 2 + 9 * 4 * 2 + 8 * 4 + 8)
    assert halved.macs == 7 + 40 + (4 * 2 + (9 * 4 * 2 + 8 * 4) * 10)
    assert halved.compression_ratio == 436 / halved.params


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize(
    "spec", [s for s in SPECS if full_ranks(s) == (s.channels_out, s.channels_in)], ids=lambda s: s.name
)
def test_full_ranks_cost_the_dense_layer(spec: LayerSpec, form: Form) -> None:
    assert layer_params(spec, Tucker2(spec.channels_out, spec.channels_in), form) == spec.params

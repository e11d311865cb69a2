"""Recomposing: the dense layer and the factors of what was deployed, in every form, after training too."""

import copy
from typing import Any

import pytest
import torch
from torch import nn

from ranksearch.decomposition import Factors, deploy, nested_bases, recompose
from ranksearch.layers import LayerForm, LayerRanks, LayerSpec, Svd, Tucker2, layer_forms

CASES: list[tuple[dict[str, Any], LayerRanks]] = [
    ({"kernel_size": 3, "padding": 1, "stride": 2}, Tucker2(3, 2)),
    ({"kernel_size": (2, 3), "padding": "same", "dilation": 2, "padding_mode": "reflect"}, Tucker2(6, 3)),
    ({"kernel_size": 3, "bias": False}, Tucker2(2, 4)),
    ({"kernel_size": 1, "stride": 2}, Svd(2)),
    ({}, Svd(3)),
]
FORMS = [(settings, ranks, form) for settings, ranks in CASES for form in layer_forms(ranks)]


def layer(settings: dict[str, Any]) -> nn.Conv2d | nn.Linear:
    torch.manual_seed(0)
    return nn.Conv2d(4, 6, **settings) if settings else nn.Linear(4, 6)


def factors_of(dense: nn.Conv2d | nn.Linear, ranks: LayerRanks) -> Factors:
    kernel = (*dense.weight.shape[2:], 1, 1)[:2]
    spec = LayerSpec(name="layer", kind="conv2d", channels_out=6, channels_in=4, kernel=kernel)
    return nested_bases(spec, dense.weight).factors(ranks)


@pytest.mark.parametrize(("settings", "ranks", "form"), FORMS)
def test_the_dense_layer_and_every_other_form_compute_the_same(
    settings: dict[str, Any], ranks: LayerRanks, form: LayerForm
) -> None:
    dense = layer(settings)
    made = deploy(dense, factors_of(dense, ranks), form)
    with torch.no_grad():
        for parameter in made.parameters():  # as training leaves it: nothing is orthonormal any more
            parameter += 0.1 * torch.randn_like(parameter)
    kept = copy.deepcopy(made.state_dict())
    x = torch.randn(2, 4, 7, 8) if settings else torch.randn(3, 4)
    expected = made(x)
    again, factors = recompose(made)
    torch.testing.assert_close(again(x), expected, rtol=1e-4, atol=1e-5)
    assert again.weight.shape == dense.weight.shape
    if factors is None:
        assert not list(made.children())
    else:
        for other in layer_forms(factors.ranks):
            torch.testing.assert_close(deploy(again, factors, other)(x), expected, rtol=1e-4, atol=1e-5)
    assert all(torch.equal(kept[name], value) for name, value in made.state_dict().items())


@pytest.mark.parametrize("form", ["plain", "pivoted"])
@pytest.mark.parametrize(("settings", "ranks"), CASES)
def test_ranks_below_the_full_ones_come_back(settings: dict[str, Any], ranks: LayerRanks, form: LayerForm) -> None:
    dense = layer(settings)
    factors = recompose(deploy(dense, factors_of(dense, ranks), form))[1]
    assert factors is not None
    assert factors.ranks == ranks


def test_a_module_without_a_core_is_refused() -> None:
    with pytest.raises(TypeError, match="Sequential is no compressed layer"):
        recompose(nn.Sequential(nn.ReLU()))

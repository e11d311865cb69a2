"""What learns is what `learn` says; the rate warms up and falls to zero; decay is not for biases and norms."""

from contextlib import suppress

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from ranksearch.decomposition import NestedBases
from ranksearch.layers import RankConfiguration, Svd, Tucker2
from ranksearch.progressive import attach
from ranksearch.progressive.learning import learning_parameters, learning_rate, make_optimizer, only_learning
from ranksearch.records import Recipe

ADAPTERS = {"stem.core", "stem.factor_out", "stem.factor_in", "point.factor_out", "point.factor_in"}
BIASES_AND_NORMS = {"norm.weight", "norm.bias", "body.bias", "point.shell.bias", "head.bias"}
DENSE = {"body.weight", "head.weight"}


@pytest.fixture
def progressive(network: nn.Module, bases: dict[str, NestedBases]) -> nn.Module:
    return attach(network, bases, RankConfiguration({"stem": Tucker2(3, 2), "point": Svd(4)}))


def names(network: nn.Module, parameters: list[nn.Parameter]) -> set[str]:
    return {name for name, parameter in network.named_parameters() if any(parameter is p for p in parameters)}


@pytest.mark.parametrize(
    ("learn", "expected"),
    [
        ("adapters", ADAPTERS),
        ("adapters+norm", ADAPTERS | BIASES_AND_NORMS),
        ("all", ADAPTERS | BIASES_AND_NORMS | DENSE),
    ],
)
def test_what_learns(progressive: nn.Module, learn: str, expected: set[str]) -> None:
    assert names(progressive, learning_parameters(progressive, learn)) == expected


class MyLayerNormalisation(nn.LayerNorm):
    pass


class GainNorm(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.gain = nn.Parameter(torch.ones(3))
        self.inner = nn.Linear(3, 3)


@pytest.mark.parametrize(
    "norm", [nn.GroupNorm(1, 3), nn.RMSNorm(3), MyLayerNormalisation(3), nn.InstanceNorm2d(3, affine=True)]
)
def test_norms_of_all_kinds_learn(norm: nn.Module) -> None:
    assert len(learning_parameters(nn.Sequential(nn.Linear(3, 3, bias=False), norm), "adapters+norm")) == len(
        list(norm.parameters())
    )


def test_a_norms_own_parameters_learn_but_not_the_weights_of_layers_inside() -> None:
    network = GainNorm()
    assert names(network, learning_parameters(network, "adapters+norm")) == {"gain", "inner.bias"}


def test_attention_biases_learn() -> None:
    network = nn.MultiheadAttention(4, 2)
    assert names(network, learning_parameters(network, "adapters+norm")) == {"in_proj_bias", "out_proj.bias"}


def test_what_its_owner_froze_stays_but_not_the_adapter_of_a_frozen_layer(
    network: nn.Module, bases: dict[str, NestedBases]
) -> None:
    for parameter in (network.stem.weight, network.norm.weight, network.body.bias, network.head.weight):
        parameter.requires_grad_(False)
    made = attach(network, bases, RankConfiguration({"stem": Tucker2(3, 2), "point": Svd(4)}))
    every = ADAPTERS | BIASES_AND_NORMS | DENSE
    assert names(made, learning_parameters(made, "all")) == every - {"norm.weight", "body.bias", "head.weight"}


def test_tied_weights_come_once() -> None:
    network = nn.Sequential(nn.Linear(3, 3, bias=False), nn.Linear(3, 3, bias=False))
    network[1].weight = network[0].weight
    assert len(learning_parameters(network, "all")) == 1


def test_a_network_that_stays_dense_has_no_adapters_to_learn(network: nn.Module) -> None:
    assert learning_parameters(network, "adapters") == []


def test_flags_and_modes_are_the_callers_again(progressive: nn.Module) -> None:
    progressive.stem.core.requires_grad_(False)
    progressive.eval()
    progressive.drop.train()
    chosen = learning_parameters(progressive, "adapters")
    with suppress(KeyError), only_learning(progressive, chosen):
        assert {n for n, p in progressive.named_parameters() if p.requires_grad} == ADAPTERS
        assert all(module.training for module in progressive.modules())
        raise KeyError
    assert {n for n, p in progressive.named_parameters() if not p.requires_grad} == {"stem.core"}
    assert [n for n, m in progressive.named_modules() if m.training] == ["drop"]


@pytest.mark.parametrize(("optimizer", "kind"), [("sgd", torch.optim.SGD), ("adamw", torch.optim.AdamW)])
def test_weight_decay_spares_what_has_one_dimension(progressive: nn.Module, optimizer: str, kind: type) -> None:
    recipe = Recipe(optimizer=optimizer, weight_decay=0.1, momentum=0.8)  # type: ignore[arg-type]
    made = make_optimizer(learning_parameters(progressive, "all"), recipe)
    assert isinstance(made, kind)
    for group in made.param_groups:
        assert all((p.ndim > 1) == (group["weight_decay"] == 0.1) for p in group["params"])
        assert group.get("nesterov", True)
    assert sum(len(group["params"]) for group in made.param_groups) == len(ADAPTERS | BIASES_AND_NORMS | DENSE)


@pytest.mark.parametrize("optimizer", ["sgd", "adamw"])
def test_optimiser_moves_against_the_gradient(optimizer: str) -> None:
    weight = nn.Parameter(torch.ones(2, 2))
    made = make_optimizer([weight], Recipe(optimizer=optimizer, lr=0.1, momentum=0.0))  # type: ignore[arg-type]
    weight.square().sum().backward()
    made.step()
    assert (weight < 1).all()


@given(st.integers(1, 400), st.floats(0, 1, exclude_max=True), st.floats(1e-4, 1))
def test_rate_rises_to_its_peak_then_falls_towards_zero(steps: int, warmup: float, lr: float) -> None:
    recipe = Recipe(images=steps, batch=1, warmup=warmup, lr=lr)
    rates = [learning_rate(recipe, step) for step in range(steps)]
    top = rates.index(max(rates))
    assert all(0 < rate <= lr for rate in rates)
    assert max(rates) == pytest.approx(lr)
    assert rates[: top + 1] == sorted(rates[: top + 1])
    assert rates[top:] == sorted(rates[top:], reverse=True)
    assert learning_rate(recipe, steps) == pytest.approx(0 if round(warmup * steps) < steps else lr)

"""Layers reached other than through their place stay dense, whatever way the forward pass finds to reach them."""

import copy
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from ranksearch.errors import NetworkError
from ranksearch.networks import build_network, walk
from ranksearch.networks.stand_in import ELSEWHERE

X = torch.randn(1, 6)


class Base(nn.Module):
    """Two layers, both called in their places; subclasses reach ``b`` in another way as well, or instead."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.b = nn.Linear(6, 6), nn.Linear(6, 6)

    def forward(self, x: Tensor) -> Tensor:
        return self.b(self.a(x))


class Listed(Base):
    def __init__(self) -> None:
        super().__init__()
        self.steps = [self.b]

    def forward(self, x: Tensor) -> Tensor:
        for step in self.steps:
            x = step(x)
        return self.a(x)


class ListedAsWell(Listed):
    def forward(self, x: Tensor) -> Tensor:
        return self.b(super().forward(x))


class Bound(Base):
    def __init__(self) -> None:
        super().__init__()
        self.op = self.b.__call__

    def forward(self, x: Tensor) -> Tensor:
        return self.op(self.a(x))


class Closure(Base):
    def __init__(self) -> None:
        super().__init__()
        self.norm = nn.BatchNorm1d(6)
        self.op = lambda x: self.norm(self.b(x))

    def forward(self, x: Tensor) -> Tensor:
        return self.op(self.a(x))


class Typed(Base):
    def forward(self, x: Tensor) -> Tensor:
        x = self.b(self.a(x))
        return x * 2 if isinstance(self.b, nn.Linear) else x


class Refused(Base):
    def forward(self, x: Tensor) -> Tensor:
        if type(self.b) is not nn.Linear:
            raise TypeError("b must be linear")
        return self.b(self.a(x))


class Sized(Base):
    def forward(self, x: Tensor) -> Tensor:
        return self.b(self.a(x).view(-1, self.b.in_features))


class OnTheLayersDevice(Base):
    def forward(self, x: Tensor) -> Tensor:
        return self.b(self.a(x.to(next(self.b.parameters()).dtype)))


class Unrepeatable(Base):
    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x) + np.random.default_rng().random()


@pytest.mark.parametrize(
    ("factory", "reason"),
    [
        (Base, None),
        (OnTheLayersDevice, None),
        (Unrepeatable, None),
        (Listed, ELSEWHERE),
        (ListedAsWell, ELSEWHERE),
        (Bound, ELSEWHERE),
        (Closure, ELSEWHERE),
        (Typed, ELSEWHERE),
        (Refused, ELSEWHERE),
        (Sized, "its in_features is read outside its own forward"),
    ],
)
def test_a_layer_reached_in_another_way_stays_dense(factory: Callable[[], nn.Module], reason: str | None) -> None:
    network = factory()
    state = copy.deepcopy(network.state_dict())
    spec = walk(network, X)
    assert {left.name: left.reason for left in spec.left_dense} == ({"b": reason} if reason else {})
    assert spec.names == (("a",) if reason else ("a", "b"))
    assert all(module.training for module in network.modules())
    assert all(torch.equal(value, state[name]) for name, value in network.state_dict().items())


def test_layers_that_only_fail_together_are_all_left_dense() -> None:
    class AnyLinear(Base):
        def forward(self, x: Tensor) -> Tensor:
            return super().forward(x) + any(type(layer) is nn.Linear for layer in self.children())

    with pytest.raises(NetworkError, match=f"a: {ELSEWHERE}; b: {ELSEWHERE}"):
        walk(AnyLinear(), X)


def test_a_network_that_cannot_be_copied_is_named() -> None:
    network: Any = Base()
    network.source = (number for number in range(3))
    with pytest.raises(NetworkError, match=r"no copy of the network can be made and run.*generator"):
        walk(network, X)


@pytest.mark.parametrize(("model", "layers"), [("resnet20", 20), ("vgg16", 15)])
def test_every_layer_of_our_networks_is_compressible(model: str, layers: int) -> None:
    spec = walk(build_network(model, classes=10), torch.randn(1, 3, 32, 32))
    assert (len(spec.layers), spec.left_dense) == (layers, ())

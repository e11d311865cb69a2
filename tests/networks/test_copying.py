"""Networks are copied with whatever they keep."""

import threading
import warnings

import pytest
import torch
from torch import Tensor, nn

from ranksearch.errors import NetworkError
from ranksearch.networks.copying import copy_network


class Keeps(nn.Module):
    """Keeps activations, as networks that visualise them do; two names for one layer."""

    def __init__(self) -> None:
        super().__init__()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the old weight norm: its weight is computed in each forward pass
            self.first = torch.nn.utils.weight_norm(nn.Linear(3, 3))
        self.second = self.again = nn.Linear(3, 2)
        self.kept: dict[str, list[Tensor]] = {}

    def forward(self, x: Tensor) -> Tensor:
        self.kept["first"] = [self.first(x).relu()]
        return self.second(self.kept["first"][0])


def test_a_copy_of_a_network_that_keeps_activations_computes_the_same() -> None:
    network, x = Keeps(), torch.rand(4, 3)
    expected = network(x)
    copied = copy_network(network)
    assert copied.second is copied.again is not network.second
    assert torch.equal(copied.kept["first"][0], network.kept["first"][0])
    assert not copied.kept["first"][0].requires_grad
    assert torch.equal(copied(x), expected)
    copied(x).sum().backward()
    assert all(p.grad is None for p in network.parameters())
    assert all(p.grad is not None for p in copied.parameters())


def test_a_view_of_a_weight_is_refused_and_a_compiled_network_taken_as_it_was() -> None:
    network = nn.Sequential(nn.Linear(2, 2))
    names = [name for name, _ in copy_network(torch.compile(network)).named_modules()]  # type: ignore[type-var]
    assert names == ["", "0"]
    network.head = network[0].weight.t()  # type: ignore[assignment]  # a copy's would no longer follow the weight
    with pytest.raises(NetworkError, match="cannot be copied"):
        copy_network(network)


def test_what_is_shared_stays_one() -> None:
    network = nn.Sequential(nn.Linear(2, 2))
    network.constant = constant = object()  # type: ignore[assignment]
    assert copy_network(network, shared=[constant]).constant is constant


def test_what_cannot_be_copied_is_told() -> None:
    network = nn.Sequential(nn.Linear(2, 2))
    network.lock = threading.Lock()  # type: ignore[assignment]
    with pytest.raises(NetworkError, match=r"Sequential cannot be copied \(TypeError: .*lock.*keep what cannot be"):
        copy_network(network)

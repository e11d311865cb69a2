"""Streamlining: the same function in fewer operations, and what must not be merged."""

import copy

import pytest
import torch
from torch import Tensor, nn
from torch.fx import GraphModule

from ranksearch.export import streamline


def operations(network: nn.Module) -> list[str]:
    assert isinstance(network, GraphModule)
    modules = dict(network.named_modules())
    return [type(modules[str(n.target)]).__name__ for n in network.graph.nodes if n.op == "call_module"]


def settled(network: nn.Module) -> nn.Module:
    """With batch norms that have seen something."""
    network.train()
    with torch.no_grad():
        for _ in range(3):
            network(torch.randn(8, 4, 6, 6) + 1)
    return network.eval()


def require_equal(network: nn.Module, made: nn.Module) -> None:
    x = torch.randn(3, 4, 6, 6)
    torch.testing.assert_close(made(x), network(x), rtol=1e-4, atol=1e-5)


def test_batch_norm_is_folded_and_the_network_left_as_it_is() -> None:
    network = settled(nn.Sequential(nn.Conv2d(4, 8, 3, padding=1, bias=False), nn.BatchNorm2d(8), nn.ReLU()))
    before = copy.deepcopy(network.state_dict())
    made = streamline(network)
    assert operations(made) == ["Conv2d", "ReLU"]
    require_equal(network, made)
    assert all(torch.equal(before[name], value) for name, value in network.state_dict().items())


@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("bias", [True, False])
def test_factors_that_meet_without_a_non_linearity_become_one(stride: int, bias: bool) -> None:
    """A linear bottleneck: factor_out of one layer, its batch norm, factor_in of the next."""
    network = settled(
        nn.Sequential(
            nn.Conv2d(4, 3, 3, padding=1), nn.Conv2d(3, 16, 1, bias=bias), nn.BatchNorm2d(16),
            nn.Conv2d(16, 5, 1, stride=stride, bias=bias), nn.Conv2d(5, 6, 3, padding=1),
        )
    )  # fmt: skip
    made = streamline(network)
    assert operations(made) == ["Conv2d", "Conv2d", "Conv2d"]
    require_equal(network, made)


def test_two_linear_layers_become_one() -> None:
    network = nn.Sequential(nn.Flatten(), nn.Linear(144, 20), nn.Linear(20, 10), nn.Linear(10, 144)).eval()
    made = streamline(network)
    assert operations(made) == ["Flatten", "Linear", "Linear"]  # 144 → 10 → 144: not back to 144 × 144
    require_equal(network, made)


class Kept(nn.Module):
    """1×1 pairs that must not be merged: a non-linearity, a second reader, padding, a shared layer, no saving."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.b = nn.Conv2d(4, 8, 1), nn.Conv2d(8, 4, 1)
        self.c, self.d = nn.Conv2d(4, 8, 1), nn.Conv2d(8, 4, 1)
        self.padded = nn.Conv2d(4, 4, 1, padding=1)
        self.shared = nn.Conv2d(4, 4, 1)
        self.narrow, self.wide = nn.Conv2d(4, 1, 1), nn.Conv2d(1, 4, 1)

    def forward(self, x: Tensor) -> Tensor:
        x = self.b(torch.relu(self.a(x)))
        inner = self.c(x)
        x = torch.relu(self.d(inner)) + inner[:, :4]
        x = torch.relu(self.padded(torch.relu(self.shared(self.shared(x)))))
        return self.wide(self.narrow(x))


def test_what_must_not_be_merged() -> None:
    network = Kept().eval()
    made = streamline(network)
    assert len(operations(made)) == 9
    require_equal(network, made)


class Branching(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x if x.sum() > 0 else -x


def test_a_forward_that_cannot_be_traced_is_left_alone() -> None:
    network = nn.Sequential(nn.Conv2d(4, 4, 1), Branching()).eval()
    assert streamline(network) is network


class SharedHead(nn.Module):
    """One convolution for two maps, each call followed by a batch norm of its own; called a third time without."""

    def __init__(self) -> None:
        super().__init__()
        self.head = nn.Conv2d(4, 4, 3, padding=1)
        self.first, self.second = nn.BatchNorm2d(4), nn.BatchNorm2d(4, affine=False)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.second(self.head(self.first(self.head(x)))))


def test_a_shared_convolution_is_folded_into_each_of_its_norms_and_the_network_left_as_it_was() -> None:
    network = settled(SharedHead()).train()
    made = streamline(network)
    assert network.training
    assert operations(made) == ["Conv2d"] * 3
    require_equal(network.eval(), made)


def test_layers_called_by_keyword() -> None:
    class Named(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.one, self.two = nn.Conv2d(4, 9, 1), nn.Conv2d(9, 4, 1)

        def forward(self, x: Tensor) -> Tensor:
            return self.two(input=self.one(input=x))

    network = Named().eval()
    made = streamline(network)
    assert operations(made) == ["Conv2d"]
    require_equal(network, made)

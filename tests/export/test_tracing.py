"""Graphs take a batch of any size, and what cannot be one is refused in one line."""

import pytest
import torch
from torch import Tensor, nn

from ranksearch.errors import ExportError
from ranksearch.export.tracing import traced


class Fixed(nn.Module):
    """Takes a batch of two and no other."""

    def forward(self, x: Tensor) -> Tensor:
        return x.reshape(2, 3, 4) + 1


class Choosing(nn.Module):
    """Computes one thing or another, by what it is given."""

    def forward(self, x: Tensor) -> Tensor:
        return x if x.sum() > 0 else -x


class Counting(nn.Module):
    """Its output depends on the batch, without naming a number."""

    def __init__(self) -> None:
        super().__init__()
        self.norm, self.drop = nn.BatchNorm1d(12), nn.Dropout()

    def forward(self, x: Tensor) -> Tensor:
        return self.drop(self.norm(x)) * x.shape[0]


@pytest.mark.parametrize("network", [Fixed(), Choosing()], ids=lambda network: type(network).__name__)
def test_what_has_no_graph_is_refused_in_one_line(network: nn.Module) -> None:
    with pytest.raises(ExportError, match=f"{type(network).__name__} cannot be exported with a batch") as caught:
        traced(network, torch.ones(1, 12))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("batch", [1, 2, 7])
def test_the_graph_is_of_the_network_in_evaluation_mode(batch: int) -> None:
    network = Counting().double().train()
    graph = traced(network, torch.ones(3, 12)).module()
    inputs = torch.randn(batch, 12)
    assert network.training
    assert {p.dtype for p in network.parameters()} == {torch.float64}
    torch.testing.assert_close(graph(inputs), network.float().eval()(inputs))

"""A small network with every kind of layer, its bases, and random data that it can learn."""

from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ranksearch.decomposition import NestedBases, nested_bases
from ranksearch.layers import LayerRanks, LayerSpec, RankConfiguration, Svd, Tucker2
from ranksearch.networks import Augmentation, Examples, Resident

RANKS: dict[str, LayerRanks] = {"stem": Tucker2(4, 3), "body": Tucker2(5, 4), "point": Svd(4), "head": Svd(3)}


class Small(nn.Module):
    """3×8×8 images to 4 classes; ``body`` is called twice."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 8, 3, padding=1, bias=False)
        self.norm = nn.BatchNorm2d(8)
        self.body = nn.Conv2d(8, 8, 3, padding=1, padding_mode="reflect")
        self.drop = nn.Dropout(0.2)
        self.point = nn.Conv2d(8, 10, 1, stride=2)
        self.head = nn.Linear(10, 4)

    def forward(self, x: Tensor) -> Tensor:
        x = F.relu(self.norm(self.stem(x)))
        x = F.relu(self.body(self.body(x)))
        return self.head(F.relu(self.point(self.drop(x))).mean((2, 3)))


def spec_of(name: str, layer: nn.Module) -> LayerSpec:
    assert isinstance(layer, nn.Conv2d | nn.Linear)
    out, channels, *kernel = layer.weight.shape
    kind = "conv2d" if kernel else "linear"
    size = tuple(kernel) or (1, 1)
    return LayerSpec(
        name=name, kind=kind, channels_out=out, channels_in=channels, kernel=size, bias=layer.bias is not None
    )


@pytest.fixture
def network() -> Small:
    """Untrained, with batch-norm statistics that are not the initial ones; in evaluation mode."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        made = Small()
        for _ in range(3):
            made(torch.randn(64, 3, 8, 8))
    return made.eval()


@pytest.fixture
def bases_of() -> Callable[..., dict[str, NestedBases]]:
    """(network, layer names …) → their bases, in that order."""

    def made(network: nn.Module, *names: str) -> dict[str, NestedBases]:
        layers = {name: network.get_submodule(name) for name in names}
        return {name: nested_bases(spec_of(name, layer), layer.weight) for name, layer in layers.items()}

    return made


@pytest.fixture
def bases(network: Small, bases_of: Callable[..., dict[str, NestedBases]]) -> dict[str, NestedBases]:
    return bases_of(network, *RANKS)


@pytest.fixture
def configuration() -> RankConfiguration:
    return RankConfiguration(RANKS)


@pytest.fixture(scope="session")
def train() -> Examples:
    """96 images of four classes that differ in colour, augmented by flips and crops."""
    generator = torch.Generator().manual_seed(1)
    labels = torch.arange(96) % 4
    means = torch.tensor([[1.0, 1, 0], [1, 0, 1], [0, 1, 1], [0, 0, 0]])[:, :, None, None]
    images = means[labels] + 0.5 * torch.randn(96, 3, 8, 8, generator=generator)
    return Resident.of(images, labels).prepared(None, Augmentation.of(["crop:1", "flip"]))

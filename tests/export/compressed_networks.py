"""Networks of every kind, and the same compressed: what each export is held against."""

from collections.abc import Callable

import torch
from torch import Tensor, nn

from ranksearch.decomposition import network_bases
from ranksearch.layers import Dense, Form, RankConfiguration, Svd, Tucker2, full_ranks, network_cost
from ranksearch.layers.legal import is_legal
from ranksearch.networks import build_network, walk
from ranksearch.progressive import attach, collapse, set_decay
from ranksearch.records import NO_DECAY, RankFile

FORMS: list[Form] = ["plain", "pivoted"]


class Odd(nn.Module):
    """A convolution used twice under two names, tied linear layers, a grouped convolution, reflect padding."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Conv2d(3, 8, 3, padding=1, padding_mode="reflect")
        self.again = nn.Conv2d(8, 8, 3, padding=2, dilation=2, bias=False)
        self.block = nn.Sequential(self.again, nn.BatchNorm2d(8))
        self.grouped = nn.Conv2d(8, 8, 3, groups=2)
        self.up, self.down = nn.Linear(8, 8), nn.Linear(8, 8)
        self.down.weight = self.up.weight
        self.head = nn.Linear(8, 5)

    def forward(self, x: Tensor) -> Tensor:
        x = self.block(torch.relu(self.again(torch.relu(self.first(x)))))
        x = self.grouped(x).amax((2, 3))
        return self.head(self.down(torch.relu(self.up(x))))


NETWORKS: dict[str, tuple[Callable[[], nn.Module], tuple[int, ...]]] = {
    "digits": (lambda: build_network("digits-convnet", classes=10), (1, 8, 8)),
    "resnet20": (lambda: build_network("resnet20", classes=10), (3, 32, 32)),
    "vgg13": (lambda: build_network("vgg13", classes=10), (3, 32, 32)),
    "odd": (Odd, (3, 12, 12)),
}


def built(name: str) -> tuple[nn.Module, Tensor]:
    """A network in evaluation mode with batch norms that do something, and two inputs."""
    torch.manual_seed(0)
    make, shape = NETWORKS[name]
    network = make()
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.get_buffer("running_mean"), -0.1, 0.1)
            nn.init.uniform_(module.get_buffer("running_var"), 0.5, 1.5)
    return network.eval(), torch.randn(2, *shape)


def collapsed(network: nn.Module, x: Tensor, form: Form, share: float = 0.4) -> tuple[nn.Module, RankFile]:
    """The network with a share of every layer's ranks, the last layer dense, and its rank file."""
    spec = walk(network, x)
    chosen: dict[str, Tucker2 | Svd | Dense] = {}
    for layer in spec.layers:
        ranks = [max(1, int(share * full)) for full in full_ranks(layer)]
        small = Tucker2(*ranks) if len(ranks) == 2 else Svd(*ranks)
        chosen[layer.name] = small if is_legal(layer, small) else Dense()
    chosen[spec.layers[-1].name] = Dense()
    configuration = RankConfiguration(chosen)
    progressive = attach(network, network_bases(network, spec), configuration)
    set_decay(progressive, NO_DECAY, 0.0)
    made = collapse(progressive, form)
    params = sum(p.numel() for p in made.parameters())
    assert params == network_cost(spec, configuration, form).params < spec.params
    return made, RankFile(network={"model": "test"}, configuration=configuration, form=form)

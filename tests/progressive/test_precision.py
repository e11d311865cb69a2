"""Precision has a name that reads back; the probe leaves network and generators as they were."""

import copy
from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ranksearch.errors import NetworkError, StudyFileError
from ranksearch.networks import Examples
from ranksearch.progressive import FLOAT32, Precision, precision, probe_precision
from ranksearch.progressive.precision import CANDIDATES

CPU = torch.device("cpu")
BFLOAT16 = Precision.parse("bfloat16/channels-last")


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(precision, "PROBE_SECONDS", 0.0)


@pytest.mark.parametrize("candidate", CANDIDATES, ids=lambda p: p.name)
def test_name_reads_back(candidate: Precision) -> None:
    assert Precision.parse(candidate.name) == candidate


def test_unknown_name_is_refused() -> None:
    with pytest.raises(StudyFileError, match=r"'float16' is unknown; allowed: float32, .*bfloat16/channels-last"):
        Precision.parse("float16")


@pytest.mark.parametrize("chosen", CANDIDATES, ids=lambda p: p.name)
def test_outputs_are_float32_and_nearly_the_same(network: nn.Module, chosen: Precision) -> None:
    x = torch.randn(4, 3, 8, 8)
    placed = chosen.place(copy.deepcopy(network), CPU)
    layout = torch.channels_last if chosen.channels_last else torch.contiguous_format
    assert placed.body.weight.is_contiguous(memory_format=layout)
    outputs = chosen.outputs(placed, x)
    assert outputs.dtype == torch.float32
    torch.testing.assert_close(outputs, network(x), rtol=0.05, atol=0.05)
    assert torch.equal(outputs, network(x)) == (chosen == FLOAT32)


def test_float32_switches_off_an_outer_autocast(network: nn.Module) -> None:
    x = torch.randn(4, 3, 8, 8)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert torch.equal(FLOAT32.outputs(network, x), network.float()(x).float()) is False
        inside = FLOAT32.outputs(network, x)
    assert torch.equal(inside, network(x))


class Pair(nn.Module):
    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        return x, x


def test_output_must_be_one_tensor() -> None:
    with pytest.raises(NetworkError, match="Pair returns a tuple; wrap it"):
        FLOAT32.outputs(Pair(), torch.zeros(1))


def test_probe_leaves_everything_as_it_was(
    network: nn.Module, train: Examples, generators: Callable[[], tuple]
) -> None:
    network.requires_grad_(False)
    inputs, targets = next(train.batches(32, seed=0))
    before, stood = copy.deepcopy(network.state_dict()), generators()
    assert probe_precision(network, inputs, targets) in CANDIDATES
    assert generators() == stood
    assert not network.training
    assert not any(p.requires_grad or p.grad is not None for p in network.parameters())
    assert all(torch.equal(tensor, before[name]) for name, tensor in network.state_dict().items())


def test_probe_takes_the_fastest_and_the_simpler_of_equals(network: nn.Module, monkeypatch: pytest.MonkeyPatch) -> None:
    seconds = dict(zip(CANDIDATES, [1.0, 0.97, 0.1, 0.5], strict=True))
    monkeypatch.setattr(precision, "_seconds_per_step", lambda network, x, y, task, candidate: seconds[candidate])
    x, y = torch.zeros(2, 3, 8, 8), torch.zeros(2, dtype=torch.long)
    assert probe_precision(network, x, y) == BFLOAT16  # bfloat16 without channels-last is not tried on images
    assert probe_precision(network, x[:, :, 0, 0], y) == Precision("bfloat16")
    seconds[BFLOAT16] = 0.96
    assert probe_precision(network, x, y) == FLOAT32


class Overflow(nn.Module):
    """Finite in float32, infinite in bfloat16: a number that rounds up beyond the largest bfloat16."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(1, 2, bias=False)
        with torch.no_grad():
            self.layer.weight.fill_(3.4e38)

    def forward(self, x: Tensor) -> Tensor:
        return self.layer(x) * 1e-38


class Refuses(nn.Module):
    """An operation that bfloat16 does not have."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(1, 2)

    def forward(self, x: Tensor) -> Tensor:
        y = self.layer(x)
        if y.dtype == torch.bfloat16:
            raise RuntimeError("not implemented for 'BFloat16'")
        return y


@pytest.mark.parametrize("network", [Overflow(), Refuses()], ids=lambda n: type(n).__name__)
def test_probe_avoids_bfloat16_where_it_does_not_serve(network: nn.Module) -> None:
    assert probe_precision(network, torch.ones(3, 1), torch.zeros(3, dtype=torch.long)) == FLOAT32


def test_probe_avoids_a_layout_that_a_view_refuses() -> None:
    class Viewed(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.stem, self.head = nn.Conv2d(3, 8, 3, padding=1), nn.Linear(8 * 4 * 4, 4)

        def forward(self, x: Tensor) -> Tensor:
            x = F.max_pool2d(self.stem(x).relu(), 2)
            return self.head(x.view(x.size(0), -1))

    found = probe_precision(Viewed(), torch.randn(16, 3, 8, 8), torch.arange(16) % 4)
    assert not found.channels_last


def test_probe_names_a_network_that_cannot_train() -> None:
    with pytest.raises(NetworkError, match="cannot run a training step of 2 images"):
        probe_precision(nn.Linear(3, 2), torch.ones(2, 5), torch.zeros(2, dtype=torch.long))


@pytest.mark.parametrize("chosen", CANDIDATES)
def test_the_layout_is_that_of_4d_tensors_alone(chosen: Precision) -> None:
    network = nn.Sequential(nn.Conv2d(4, 4, 3), nn.Conv3d(4, 4, 3))
    network.register_buffer("table", torch.ones(2, 4, 3, 3))
    network.register_parameter("positions", nn.Parameter(torch.ones(1, 2, 3, 4, 5)))
    before = list(network.parameters())
    assert chosen.place(network, torch.device("cpu")) is network
    layout = torch.channels_last if chosen.channels_last else torch.contiguous_format
    for tensor in (network[0].weight, network.table):
        assert tensor.is_contiguous(memory_format=layout)
    assert network[1].weight.is_contiguous()
    assert network.positions.is_contiguous()
    assert all(a is b for a, b in zip(network.parameters(), before, strict=True))

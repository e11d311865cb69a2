"""Latencies of networks, or of anything else from batch to batch, taken in turn."""

import pytest
import torch
from torch import Tensor, nn

from ranksearch.export import compare_latency


class Counted(nn.Module):
    """Passes its input on, noting in a shared diary who ran, on which shape."""

    def __init__(self, name: str, diary: list[tuple[str, tuple[int, ...]]]) -> None:
        super().__init__()
        self.name, self.diary = name, diary

    def forward(self, x: Tensor) -> Tensor:
        self.diary.append((self.name, tuple(x.shape)))
        return x


def test_latencies_are_taken_in_turn_on_batches_of_the_asked_size() -> None:
    diary: list[tuple[str, tuple[int, ...]]] = []
    networks: dict[str, nn.Module] = {name: Counted(name, diary).eval() for name in ("a", "b")}
    found = compare_latency(networks, torch.randn(1, 3, 4), batches=(1, 8), rounds=5)
    turns = [(name, (batch, 3, 4)) for batch in (1, 8) for _ in range(5 + 3) for name in ("a", "b")]
    assert diary == turns
    assert list(found) == ["a", "b"]
    for latencies in found.values():
        assert [latency.batch for latency in latencies] == [1, 8]
        for latency in latencies:
            assert 0 < latency.lower <= latency.median <= latency.upper


def test_any_device_but_the_cpu_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    waited: list[torch.device] = []
    monkeypatch.setattr(torch.accelerator, "synchronize", waited.append)
    compare_latency({"one": nn.Identity()}, torch.empty(1, 3, device="meta"), batches=(2,), rounds=2)
    assert waited == [torch.device("meta")] * (2 + 3)
    compare_latency({"one": nn.Identity()}, torch.empty(1, 3), batches=(2,), rounds=2)
    assert len(waited) == 2 + 3


def test_latency_leaves_no_gradients_behind() -> None:
    network = nn.Linear(4, 2)
    compare_latency({"one": network}, torch.randn(1, 4), batches=(2,), rounds=2)
    assert network.weight.grad is None


def test_anything_from_tensor_to_tensor_is_timed_by_any_label() -> None:
    found = compare_latency({("a", 1): torch.relu, ("b", 2): lambda x: x + 1}, torch.randn(1, 4), (2,), rounds=2)
    assert list(found) == [("a", 1), ("b", 2)]

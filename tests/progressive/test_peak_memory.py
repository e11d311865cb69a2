"""Peak memory sees a large tensor while it lives, and remembers it."""

import torch

from ranksearch.progressive.peak_memory import PeakMemory


def test_sees_and_remembers_a_large_tensor() -> None:
    memory = PeakMemory(torch.device("cpu"))
    large = torch.ones(64 * 2**18)  # 64 MiB
    memory.look()
    seen = memory.mebibytes
    assert seen > 40
    del large
    memory.look()
    assert memory.mebibytes == seen

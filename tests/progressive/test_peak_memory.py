"""Peak memory sees a large tensor while it lives, and remembers it."""

import subprocess
import sys

# in a process of its own: memory that earlier tests freed would be used again, and the resident set not grow
CODE = """
import torch
from ranksearch.progressive.peak_memory import PeakMemory

memory = PeakMemory(torch.device("cpu"))
large = torch.ones(64 * 2**18)  # 64 MiB
memory.look()
seen = memory.mebibytes
assert seen > 40, seen
del large
memory.look()
assert memory.mebibytes == seen
"""


def test_sees_and_remembers_a_large_tensor() -> None:
    done = subprocess.run([sys.executable, "-c", CODE], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr

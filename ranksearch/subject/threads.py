"""How many cores this process may use: what was asked for, what a scheduler or a container grants, or all there are."""

import math
import os
from collections.abc import Callable, Mapping
from pathlib import Path

import torch

from ..errors import StudyFileError

_asked = False  # whether a number of threads was asked for in this process, which torch does not tell
QUOTA = Path("/sys/fs/cgroup/cpu.max")  # of a container: microseconds of CPU time, and in how many microseconds


def use_cores(cpus: int | None = None, share: int = 1) -> int:
    """Gives this process its threads: two processes with all threads each collapse.

    Args:
        cpus: asked for; where None what is granted, and not more than ``OMP_NUM_THREADS``.
        share: into how many equal parts the granted cores go, this process's being one.

    Returns:
        How many threads it has now, ≥ 1.
    """
    global _asked
    _asked = cpus is not None
    first = os.environ.get("OMP_NUM_THREADS", "").partition(",")[0]  # of nested levels
    most = int(first) if first.isdecimal() else math.inf
    threads = int(max(1, cpus or min(granted_cores() // share, most)))
    torch.set_num_threads(threads)
    return threads


def heed_grant() -> None:
    """Takes no more threads than are granted, unless :func:`use_cores` was asked for more: torch knows
    ``OMP_NUM_THREADS`` and the machine's cores, but neither Slurm nor a container's quota."""
    if not _asked:
        torch.set_num_threads(min(torch.get_num_threads(), granted_cores()))


def granted_cores(environment: Mapping[str, str] = os.environ, quota: Path = QUOTA) -> int:
    """The least of: the cores this process may run on, Slurm's ``SLURM_CPUS_PER_TASK``, a container's quota.

    A container's limit (Kubernetes, Docker) is a share of time, which the affinity mask does not show.

    Raises:
        StudyFileError: Slurm's variable is no number.
    """
    cores = [float(len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1)]
    if given := environment.get("SLURM_CPUS_PER_TASK"):
        cores.append(_number("SLURM_CPUS_PER_TASK", given, int))
    try:
        allowed, period = quota.read_text().split()
    except (OSError, ValueError):  # no cgroups, or of the first version
        allowed = period = "max"
    if allowed != "max":
        cores.append(float(allowed) / float(period))
    return max(1, math.floor(min(cores)))


def _number(name: str, text: str, kind: Callable[[str], float]) -> float:
    try:
        return kind(text)
    except ValueError:
        raise StudyFileError(f"{name} = {text!r} in the environment is no number of cores") from None

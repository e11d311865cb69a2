"""Equal runs take equal steps: generators apart from the caller's, set by (seed, step), and repeatable kernels."""

import random
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch


@contextmanager
def isolated_generators(device: torch.device) -> Iterator[None]:
    """Python's, NumPy's and torch's generators (CPU and ``device``) stand afterwards as before."""
    python, numpy = random.getstate(), np.random.get_state()  # noqa: NPY002 (users' transforms may draw from it)
    devices = [] if device.type == "cpu" else [device.index or 0]
    kind = "cuda" if device.type == "cpu" else device.type
    with torch.random.fork_rng(devices=devices, device_type=kind):
        try:
            yield
        finally:
            random.setstate(python)
            np.random.set_state(numpy)  # noqa: NPY002


def seed_generators(device: torch.device, seed: int, step: int) -> None:
    """Sets torch's generators, of the CPU and ``device``, by (seed, step); only within :func:`isolated_generators`."""
    value = int(np.random.SeedSequence((seed, step)).generate_state(1)[0])
    torch.default_generator.manual_seed(value)
    if device.type != "cpu":
        torch.get_device_module(device).manual_seed(value)


@contextmanager
def repeatable_kernels() -> Iterator[None]:
    """cuDNN chooses its algorithms neither by timing nor among those that add up in a random order."""
    cudnn = torch.backends.cudnn
    flags = cudnn.deterministic, cudnn.benchmark
    cudnn.deterministic, cudnn.benchmark = True, False
    try:
        yield
    finally:
        cudnn.deterministic, cudnn.benchmark = flags

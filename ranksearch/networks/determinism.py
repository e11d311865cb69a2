"""Equal runs take equal steps: generators apart from the caller's, set by (seed, step), and repeatable kernels."""

import random
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch


@contextmanager
def isolated_generators(device: torch.device) -> Iterator[None]:
    """Python's, NumPy's and torch's generators (CPU and ``device``) stand afterwards as before."""
    python, numpy, cpu = random.getstate(), np.random.get_state(), torch.get_rng_state()  # noqa: NPY002
    accelerator = None if device.type == "cpu" else torch.get_device_module(device).get_rng_state(*_which(device))
    try:
        yield
    finally:
        random.setstate(python)
        np.random.set_state(numpy)  # noqa: NPY002 (users' transforms may draw from it)
        torch.set_rng_state(cpu)
        if accelerator is not None:
            torch.get_device_module(device).set_rng_state(accelerator, *_which(device))


def seed_generators(device: torch.device, seed: int, step: int) -> None:
    """Sets the generators by (seed, step): Python's, NumPy's, torch's of the CPU and ``device``. Only within
    :func:`isolated_generators`."""
    value = int(np.random.SeedSequence((seed, step)).generate_state(1)[0])
    random.seed(value)
    np.random.seed(value)  # noqa: NPY002 (networks and losses may draw from it)
    torch.default_generator.manual_seed(value)  # torch.manual_seed would set every device's
    if device.type != "cpu":
        state = torch.Generator(device).manual_seed(value).get_state()
        torch.get_device_module(device).set_rng_state(state, *_which(device))


def _which(device: torch.device) -> tuple[torch.device, ...]:
    """CUDA has a generator per device; mps has one and takes no argument."""
    return (device,) if device.type == "cuda" else ()


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

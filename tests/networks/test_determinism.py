"""Generators stand as before, whatever was drawn; equal seeds and steps draw equally."""

import random
from collections.abc import Callable
from contextlib import suppress

import numpy as np
import torch

from ranksearch.networks.determinism import isolated_generators, repeatable_kernels, seed_generators

CPU = torch.device("cpu")


def test_generators_stand_as_before_even_after_an_error(generators: Callable[[], tuple]) -> None:
    before = generators()
    with suppress(KeyError), isolated_generators(CPU):
        seed_generators(CPU, 1, 2)
        torch.rand(3), np.random.rand(3), random.random()  # noqa: NPY002
        assert generators() != before
        raise KeyError
    assert generators() == before


def test_draws_are_a_function_of_seed_and_step() -> None:
    drawn = {}
    with isolated_generators(CPU):
        for seed, step in [(0, 0), (0, 1), (1, 0), (2**31 - 1, 10**6), (0, 1)]:
            seed_generators(CPU, seed, step)
            values = (*torch.rand(4).tolist(), *np.random.rand(2), random.random())  # noqa: NPY002
            assert drawn.setdefault((seed, step), values) == values
    assert len(set(drawn.values())) == len(drawn) == 4


def test_kernel_flags_are_the_callers_again() -> None:
    cudnn = torch.backends.cudnn
    before = cudnn.deterministic, cudnn.benchmark
    with repeatable_kernels():
        assert (cudnn.deterministic, cudnn.benchmark) == (True, False)
    assert (cudnn.deterministic, cudnn.benchmark) == before

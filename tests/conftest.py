"""Fixtures for every room: real data where the environment variable RANKSEARCH_DATA names it."""

import os
from pathlib import Path

import hypothesis
import pytest
import torch

hypothesis.settings.register_profile("shared machine", deadline=None)  # a busy neighbour is no failure
hypothesis.settings.load_profile("shared machine")


@pytest.fixture(autouse=True, scope="session")
def _own_cache(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Nothing is written into the user's cache folder by a test."""
    os.environ["RANKSEARCH_CACHE"] = str(tmp_path_factory.mktemp("cache"))


@pytest.fixture(autouse=True, scope="session")
def _threads() -> None:
    """Test processes side by side share the cores out (threads × processes ≤ cores)."""
    workers = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    torch.set_num_threads(max(1, cores // workers))


@pytest.fixture(scope="session")
def data() -> Path:
    """The folder of real data and weights; the test is skipped where there is none."""
    folder = os.environ.get("RANKSEARCH_DATA")
    if not folder:
        pytest.skip("RANKSEARCH_DATA is not set: real data and weights are not part of the product")
    return Path(folder)

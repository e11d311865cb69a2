"""Which devices are refused."""

import pytest

from ranksearch.errors import StudyFileError
from ranksearch.subject.device import torch_device


def test_devices() -> None:
    assert torch_device("cpu").type == "cpu"
    assert torch_device(None).type in ("cpu", "cuda", "mps")
    for unknown in ("tpu", "cpu:x", ""):
        with pytest.raises(StudyFileError, match="allowed: cpu, cuda, mps"):
            torch_device(unknown)
    with pytest.raises(StudyFileError, match="not on this machine"):
        torch_device("cuda:97")

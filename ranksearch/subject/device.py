"""What this process computes on: the device by name, the processor's name."""

import platform

import torch

from ..errors import StudyFileError

DEVICES = ("cpu", "cuda", "mps")


def torch_device(name: str | None) -> torch.device:
    """The device by name, or the best there is.

    Raises:
        StudyFileError: unknown, or not on this machine.
    """
    there = {"cpu": True, "cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    if name is None:
        return torch.device("cuda" if there["cuda"] else "mps" if there["mps"] else "cpu")
    try:
        device = torch.device(name)
    except RuntimeError:
        device = None
    if device is None or device.type not in there:
        raise StudyFileError(f"device {name!r} is unknown; allowed: {', '.join(DEVICES)}, cuda:0, …")
    if not there[device.type] or (device.index or 0) >= max(1, torch.cuda.device_count()):
        raise StudyFileError(
            f"device {name!r} is not on this machine; it has {', '.join(k for k in there if there[k])}"
        )
    return device


def processor_name() -> str:
    """The processor's model name where the system tells."""
    try:
        with open("/proc/cpuinfo") as file:
            return next(line.split(":", 1)[1].strip() for line in file if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()

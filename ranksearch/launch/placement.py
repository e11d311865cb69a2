"""Where the workers of a search are placed, and what each takes there."""

import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

from ..errors import RanksearchError

GRACE = 30  # seconds a worker may take to hand its trial back
UNITS = {"": 0, "K": 1, "M": 2, "G": 3, "T": 4}  # powers of 1000, or with an i of 1024


class LauncherError(RanksearchError):
    """A launcher that is not installed or cannot be reached, or was asked for what it cannot give."""


class Left(NamedTuple):
    """How a worker left: its exit code, and why where it did not say so itself."""

    code: int
    reason: str = ""


Polled = Callable[[], list[Left | None]]  # how each worker left; None of one that works, or waits for room
Start = Callable[[int, Mapping[str, Any]], Polled]  # so many workers, with other entries of [search] than the file's


@dataclass(frozen=True)
class Placement:
    """A launcher, and what only Ray takes: None leaves it at its default.

    Attributes:
        address: of a Ray cluster; without one a Ray of this machine is started, and ended with the search.
        cpus: per worker, > 0; 1 by default.
        gpus: per worker; a fraction lets several share one, nothing keeps them apart there; 0 by default.
        memory: per worker, in bytes; Ray places by it, and does not enforce it.

    Raises:
        LauncherError: another launcher's options, or numbers out of range.
    """

    launcher: Literal["local", "ray"] = "local"
    address: str | None = None
    cpus: float | None = None
    gpus: float | None = None
    memory: int | None = None

    def __post_init__(self) -> None:
        given = {
            "--address": self.address,
            "--cpus-per-worker": self.cpus,
            "--gpus-per-worker": self.gpus,
            "--memory-per-worker": self.memory,
        }
        named = [option for option, value in given.items() if value is not None]
        if self.launcher != "ray" and named:
            raise LauncherError(
                f"{', '.join(named)} given: local workers share out this machine's cores; add --launcher ray, or leave "
                "it out"
            )
        if self.cpus is not None and self.cpus <= 0:
            raise LauncherError(f"--cpus-per-worker = {self.cpus:g} must be positive")
        if self.gpus is not None and (self.gpus < 0 or (self.gpus > 1 and self.gpus % 1)):
            raise LauncherError(f"--gpus-per-worker = {self.gpus:g} must be a fraction of one GPU, or a whole number")
        if self.address and "://" in self.address:
            raise LauncherError(
                f"--address {self.address}: Ray Client is not spoken; run the search on a node of the cluster, with "
                "--address HOST:PORT or auto, or send it there by `ray job submit`"
            )

    @property
    def cluster(self) -> str | None:
        """Address of the cluster: the one given, or the environment's, which `ray job submit` sets; None without."""
        address = self.address or os.environ.get("RAY_ADDRESS")
        return None if address == "local" else address

    @property
    def resources(self) -> dict[str, float]:
        """What a worker takes of a node, by Ray's names of resources."""
        taken = {"CPU": 1.0 if self.cpus is None else self.cpus, "GPU": self.gpus or 0, "memory": self.memory or 0}
        return {resource: amount for resource, amount in taken.items() if amount}


def size(text: str) -> int:
    """Bytes.

    Raises:
        LauncherError: no size, or none at all.

    >>> size("4GiB"), size("1.5 GB"), size("1048576")
    (4294967296, 1500000000, 1048576)
    """
    found = re.fullmatch(r"(\d+(?:\.\d+)?) ?(?:([KMGT]?)(i?)B)?", text.strip(), re.IGNORECASE)
    amount = 0
    if found:
        unit = (found[2] or "").upper()
        amount = int(float(found[1]) * (1024 if found[3] else 1000) ** UNITS[unit])
    if not amount:
        raise LauncherError(f"--memory-per-worker = {text!r} must be a size such as 4GiB or 4294967296")
    return amount

"""Examples held in memory whole, images as uint8: a batch is one gather, no worker processes needed."""

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..errors import DataError
from .examples import Examples
from .order import Draw

RESIDENT_BYTES = 2 * 1024**3  # larger stores stay on disk (image folders), or off the accelerator


@dataclass(frozen=True, eq=False)
class Store:
    """Inputs ``(n, …)`` and targets ``(n, …)`` that any number of :class:`Resident` share."""

    inputs: Tensor
    targets: Tensor
    copies: dict[torch.device, tuple[Tensor, Tensor]] = field(default_factory=dict, repr=False)

    def near(self, device: torch.device) -> tuple[Tensor, Tensor]:
        """Inputs and targets on ``device``, moved there once; on the CPU where they are too large for that."""
        if device.type == "cpu" or self.inputs.nbytes > RESIDENT_BYTES:
            return self.inputs, self.targets
        if device not in self.copies:
            self.copies[device] = self.inputs.to(device), self.targets.to(device)
        return self.copies[device]

    @cached_property
    def digests(self) -> list[bytes]:
        """Sixteen bytes for each input."""
        return [
            hashlib.blake2b(row, digest_size=16).digest() for row in self.inputs.reshape(len(self.inputs), -1).numpy()
        ]


@dataclass(frozen=True, eq=False, kw_only=True)
class Resident(Examples):
    """Rows of a :class:`Store`."""

    store: Store

    @classmethod
    def of(cls, inputs: Tensor | NDArray, targets: Tensor | NDArray) -> "Resident":
        """From inputs ``(n, …)`` (images uint8 or float, ``(n, C, H, W)``) and targets ``(n, …)``.

        Integer targets become int64, floats float32.

        Raises:
            DataError: different lengths, no examples, floats that hold NaN or infinity, or a dtype that no
                tensor has.
        """
        stored, labels = _tensor("inputs", inputs), _tensor("targets", targets)
        if not stored.ndim or not labels.ndim or len(stored) != len(labels) or not len(stored):
            raise DataError(f"inputs {tuple(stored.shape)} and targets {tuple(labels.shape)} must be equally many, ≥ 1")
        if stored.is_floating_point():
            stored = stored.float()
            if not torch.isfinite(stored).all():
                raise DataError("the inputs hold NaN or infinity: clean the data first")
        labels = labels.float() if labels.is_floating_point() else labels.to(torch.int64)
        return cls(rows=torch.arange(len(stored)), store=Store(stored.contiguous(), labels))

    @property
    def targets(self) -> Tensor:
        return self.store.targets[self.rows]

    @property
    def digests(self) -> list[bytes]:
        every = self.store.digests
        return [every[row] for row in self.rows.tolist()]

    @property
    def content(self) -> bytes:
        return hashlib.sha256(self.kind.encode() + b"".join(self.digests) + self.targets.numpy().tobytes()).digest()

    @property
    def kind(self) -> str:
        """Types and shapes of one input and of one target."""
        inputs, targets = self.store.inputs, self.store.targets
        return f"{inputs.dtype} {tuple(inputs.shape[1:])} {targets.dtype} {tuple(targets.shape[1:])}"

    def item(self, row: int) -> tuple[Tensor, Tensor]:
        return self.store.inputs[row], self.store.targets[row]

    def read(self, plan: Iterable[Draw], device: torch.device) -> Iterator[tuple[Tensor, Tensor]]:
        inputs, targets = self.store.near(device)
        for draw in plan:
            index = self.rows[draw.positions].to(inputs.device)
            yield inputs.index_select(0, index).to(device), targets.index_select(0, index).to(device)


def _tensor(name: str, values: Tensor | NDArray) -> Tensor:
    """On the CPU, without gradient history."""
    if isinstance(values, Tensor):
        return values.detach().cpu()
    array = np.ascontiguousarray(values)
    try:
        return torch.from_numpy(array)
    except TypeError as failure:
        raise DataError(f"{name} of dtype {array.dtype} cannot become a tensor: store uint8 or float32") from failure

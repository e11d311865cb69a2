"""Examples read one by one from any torch Dataset, with the user's own transforms."""

import hashlib
import random
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, default_collate
from torchvision.datasets import ImageFolder

from ..errors import DataError, UnreadableError, describe
from .augmentation import Augmentation
from .examples import Examples
from .normalization import Normalization
from .order import ITEMS, Draw, derived_seed

PROBES = 16  # items that stand for the whole in a fingerprint


@dataclass(frozen=True, eq=False, kw_only=True)
class Streamed(Examples):
    """Rows of a Dataset of ``(input, target)`` pairs.

    Random transforms draw from ``(seed, batch index)``, and where examples are read in order from the row alone, so
    that what is measured is the same every time, target by target; the global generators of torch, NumPy and Python are
    left as they were.

    Attributes:
        dataset: with a length and an index; targets are anything that collates.
        labels: int64, targets of the whole dataset where they are known without reading it.
        workers: processes that read ahead (:meth:`read_ahead`); 0 reads in this one.
    """

    dataset: Dataset
    labels: Tensor | None = None
    workers: int = 0

    @classmethod
    def of(cls, dataset: Dataset, labels: Tensor | None = None) -> "Streamed":
        """All of ``dataset``.

        Raises:
            DataError: it has no length, as an IterableDataset, or is empty.
        """
        try:
            count = len(dataset)  # type: ignore[arg-type]
        except TypeError as failure:
            raise DataError(
                f"{type(dataset).__name__} has no length, so it cannot be split or reshuffled: "
                "give a Dataset with __len__ and __getitem__"
            ) from failure
        if not count:
            raise DataError(f"{type(dataset).__name__} is empty")
        return cls(rows=torch.arange(count), dataset=dataset, labels=labels)

    @cached_property
    def targets(self) -> Any:
        """Read once; without ``labels`` that means reading every item."""
        if self.labels is not None:
            return self.labels[self.rows]
        return self.collated([self.fixed(row)[1] for row in self.rows.tolist()])

    def subset(self, indices: Tensor | Sequence[int]) -> "Streamed":
        """The examples at ``indices``; targets that were read are not read again."""
        chosen = super().subset(indices)
        if isinstance(read := vars(self).get("targets"), Tensor):
            vars(chosen)["targets"] = read[torch.as_tensor(indices, dtype=torch.int64)]
        return chosen

    @property
    def digests(self) -> None:
        """None: transforms may change an input from one reading to the next."""
        return None

    @cached_property
    def content(self) -> bytes:
        """Rows, known labels, and the bytes of a few items read under a fixed seed."""
        digest = hashlib.sha256(type(self.dataset).__name__.encode() + self.rows.numpy().tobytes())
        if self.labels is not None:
            digest.update(self.labels[self.rows].numpy().tobytes())
        positions = torch.linspace(0, len(self) - 1, min(PROBES, len(self))).round().long()
        for row in self.rows[positions].tolist():
            for part in _leaves(default_collate([self.fixed(row)])):
                digest.update(part.numpy().tobytes() if isinstance(part, Tensor) else repr(part).encode())
        return digest.digest()

    def prepared(self, normalization: Normalization | None, augmentation: Augmentation) -> "Streamed":
        """As :meth:`Examples.prepared`; targets that were read are not read again."""
        made = super().prepared(normalization, augmentation)
        if "targets" in vars(self):
            vars(made)["targets"] = self.targets
        return made

    def fixed(self, row: int) -> tuple[Tensor, Any]:
        """The item of a row as it is measured: the same whenever it is read."""
        with _seeded(derived_seed(0, ITEMS, row)):
            return self.item(row)

    def read_ahead(self, workers: int) -> "Streamed":
        return replace(self, workers=workers)

    def item(self, row: int) -> tuple[Tensor, Any]:
        """Raises :class:`DataError`, naming the data set and the row, whatever goes wrong."""
        name, dataset = f"{type(self.dataset).__name__}[{row}]", self.dataset
        if isinstance(dataset, ImageFolder) and type(dataset) is ImageFolder:  # a subclass may have another order
            name = dataset.samples[row][0]
        try:
            item = self.dataset[row]
        except Exception as failure:
            # Pillow's own errors are of the operating system, too, but have no number
            now = isinstance(failure, OSError) and failure.errno is not None
            raise (UnreadableError if now else DataError)(f"{name} cannot be read: {describe(failure)}") from failure
        if not (isinstance(item, tuple | list) and len(item) == 2):
            raise DataError(f"{name} must be a pair (input, target), got {type(item).__name__}")
        if isinstance(item[0], tuple | list | dict):
            raise DataError(f"{name}: the input is a {type(item[0]).__name__}; a network here takes one tensor")
        if not isinstance(item[0], Tensor | np.ndarray):
            raise DataError(
                f"{name}: the input is a {type(item[0]).__name__}, not a tensor: "
                "give the data set a transform that ends in torchvision.transforms.ToTensor()"
            )
        try:
            return torch.as_tensor(item[0]), item[1]
        except (TypeError, ValueError) as failure:  # of arrays: a dtype that no tensor has, a negative stride
            raise DataError(f"{name}: the input cannot become a tensor: {describe(failure)}") from failure

    def read(self, plan: Iterable[Draw], device: torch.device) -> Iterator[tuple[Tensor, Any]]:
        loader = DataLoader(
            _Seeding(self),
            batch_sampler=self._seeded_rows(plan),
            num_workers=self.workers,
            collate_fn=self.collated,
            generator=torch.Generator(),  # its own: the loader would advance the global one
        )
        try:
            for inputs, targets in loader:
                yield inputs.to(device), _moved(targets, device)
        except DataError as failure:
            if not self.workers:
                raise
            # A worker hands its traceback over as text. Ours would keep the loader, and so the workers, alive
            # in a cycle, out of which the garbage collector ends them only after seconds.
            last = str(failure).strip().splitlines()[-1]
            raise type(failure)(last.partition(": ")[2]) from failure.with_traceback(None)

    def collated(self, items: list[Any]) -> Any:
        """One batch of many items (or targets)."""
        try:
            return default_collate(items)
        except (RuntimeError, TypeError) as failure:
            raise DataError(
                f"items of {type(self.dataset).__name__} do not fit into one batch ({describe(failure)}): "
                "give all the same shape and type, images by a Resize (folder: data.size)"
            ) from failure

    def _seeded_rows(self, plan: Iterable[Draw]) -> Iterator[Any]:
        """What :class:`_Seeding` takes: for each batch a seed, None in order, and the rows."""
        for draw in plan:
            seed = None if draw.seed is None else derived_seed(draw.seed, ITEMS, draw.step)
            yield seed, self.rows[draw.positions].tolist()


class _Seeding(Dataset):
    """Reads a whole batch under a seed of its own, in this process or in a worker."""

    def __init__(self, examples: Streamed) -> None:
        self.examples = examples

    def __getitems__(self, batch: tuple[int | None, list[int]]) -> list[Any]:
        seed, rows = batch
        if seed is None:
            return [self.examples.fixed(row) for row in rows]
        with _seeded(seed):
            return [self.examples.item(row) for row in rows]


@contextmanager
def _seeded(seed: int) -> Iterator[None]:
    """The CPU generators of torch, NumPy and Python at ``seed``, afterwards as they were."""
    states = torch.default_generator.get_state(), np.random.get_state(), random.getstate()  # noqa: NPY002
    torch.default_generator.manual_seed(seed)
    np.random.seed(seed % 2**32)  # noqa: NPY002  (what users' transforms draw from)
    random.seed(seed)
    try:
        yield
    finally:
        torch.default_generator.set_state(states[0])
        np.random.set_state(states[1])  # noqa: NPY002
        random.setstate(states[2])


def _leaves(value: Any) -> Iterator[Any]:
    if isinstance(value, Mapping):
        value = list(value.values())
    if isinstance(value, tuple | list):
        for part in value:
            yield from _leaves(part)
    else:
        yield value


def _moved(value: Any, device: torch.device) -> Any:
    """``value`` with every tensor in it on ``device``."""
    if isinstance(value, Tensor):
        return value.to(device)
    if isinstance(value, Mapping):
        return {key: _moved(part, device) for key, part in value.items()}
    if isinstance(value, tuple | list):
        return [_moved(part, device) for part in value]
    return value

"""Images into the numbers a network expects: one multiplication and one addition per channel."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import torch
from torch import Tensor

from ..errors import DataError, nearest

KEYS = ("mean", "std")


@dataclass(frozen=True)
class Normalization:
    """``(x − mean) / std`` per channel.

    Attributes:
        mean, std: one number per channel, or one for all; on the [0, 1] scale where images are uint8, on
            their own scale where they are floats; ``std`` > 0.
    """

    mean: tuple[float, ...]
    std: tuple[float, ...]

    def __post_init__(self) -> None:
        if len(self.mean) != len(self.std) or not self.mean:
            raise DataError(f"normalize needs as many mean as std values, got {len(self.mean)} and {len(self.std)}")
        if not all(map(math.isfinite, self.mean + self.std)) or min(self.std) <= 0:
            raise DataError(f"normalize needs finite mean and std above 0, got mean {self.mean}, std {self.std}")

    @classmethod
    def of(cls, setting: Mapping[str, Any]) -> "Normalization":
        """From a study file's ``{mean = […], std = […]}``; a single number stands for all channels.

        Raises:
            DataError: another key, a missing one, or something that is no number.
        """
        for key in setting:
            if key not in KEYS:
                raise DataError(f"data.normalize has no {key!r}{nearest(key, KEYS)}")
        if missing := [key for key in KEYS if key not in setting]:
            raise DataError(f"data.normalize lacks {' and '.join(missing)}")
        return cls(*(_numbers(key, setting[key]) for key in KEYS))


def as_input(images: Tensor, normalization: Normalization | None) -> Tensor:
    """A batch as the network takes it.

    uint8 ``(N, C, …)`` becomes float32 in [0, 1], then normalised; floats become float32, normalised where
    asked; other integers (tokens) stay as they are unless a normalisation is given.
    """
    if normalization is None:
        if images.dtype == torch.uint8:
            return images.float().div_(255)
        return images.float() if images.is_floating_point() else images
    largest = 255.0 if images.dtype == torch.uint8 else 1.0
    scale, shift = _factors(normalization, largest, images.ndim, images.device)
    return images.to(torch.float32, copy=True).mul_(scale).add_(shift)


@lru_cache(maxsize=64)
def _factors(normalization: Normalization, largest: float, ndim: int, device: torch.device) -> tuple[Tensor, Tensor]:
    """``x · scale + shift``, with the channels on axis 1."""
    mean, std = (torch.tensor(v, dtype=torch.float64) for v in (normalization.mean, normalization.std))
    shape = (1, -1) + (1,) * (ndim - 2)
    scale, shift = 1 / (std * largest), -mean / std
    return scale.float().reshape(shape).to(device), shift.float().reshape(shape).to(device)


def _numbers(key: str, value: Any) -> tuple[float, ...]:
    values = value if isinstance(value, Sequence) and not isinstance(value, str) else [value]
    try:
        return tuple(float(number) for number in values)
    except (TypeError, ValueError) as failure:
        raise DataError(f"data.normalize.{key} = {value!r} must be numbers, one per channel") from failure

"""Random crops and flips of a whole batch at once."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor
from torch.nn import functional as F

from ..errors import DataError


@dataclass(frozen=True)
class Augmentation:
    """What is done at random to training images.

    Attributes:
        crop: pixels of black padding on every side, out of which a window of the image's own size is cut; ≥ 0.
        flip: whether every second image, by chance, is mirrored left to right.
    """

    crop: int = 0
    flip: bool = False

    def __post_init__(self) -> None:
        if self.crop < 0:
            raise DataError(f"augment: crop:{self.crop} must be 0 pixels or more")

    @classmethod
    def of(cls, setting: Sequence[str]) -> "Augmentation":
        """From a study file's list.

        Raises:
            DataError: anything but ``crop:N`` and ``flip``, or one of them twice.

        >>> Augmentation.of(["crop:4", "flip"])
        Augmentation(crop=4, flip=True)
        """
        chosen: dict[str, int] = {}
        for word in setting:
            found = re.fullmatch(r"(crop):(\d+)|(flip)", word)
            if not found:
                raise DataError(f"data.augment has {word!r}; allowed: crop:N (N pixels, as crop:4), flip")
            name = found[1] or found[3]
            if name in chosen:
                raise DataError(f"data.augment names {name} twice: {list(setting)}")
            chosen[name] = int(found[2] or 1)
        return cls(crop=chosen.get("crop", 0), flip="flip" in chosen)

    def part(self, name: str) -> "Augmentation":
        """``"all"`` of it, only its ``"flip"``, or ``"none"``."""
        return {"all": self, "flip": replace(self, crop=0), "none": NO_AUGMENTATION}[name]

    def __bool__(self) -> bool:
        return self.crop > 0 or self.flip

    def __call__(self, images: Tensor, generator: torch.Generator) -> Tensor:
        """Images ``(N, C, H, W)`` of any dtype, each shifted and mirrored as ``generator`` (on the CPU) says.

        One gather over the pixels of the padded images does both: cheap enough that no worker is needed.
        """
        count, channels, height, width = images.shape
        shift = torch.randint(0, 2 * self.crop + 1, (2, count, 1), generator=generator).to(images.device)
        mirrored = torch.randint(0, 2, (count, 1), generator=generator).bool().to(images.device)
        rows, columns = (torch.arange(size, device=images.device).expand(count, size) for size in (height, width))
        if self.flip:
            columns = torch.where(mirrored, columns.flip(1), columns)
        rows, columns = rows + shift[0], columns + shift[1]
        pixels = (rows[:, :, None] * (width + 2 * self.crop) + columns[:, None, :]).reshape(count, 1, -1)
        padded = F.pad(images, (self.crop,) * 4).flatten(2)
        return padded.gather(2, pixels.expand(count, channels, height * width)).reshape(images.shape)


NO_AUGMENTATION = Augmentation()

"""What the shared training of a study's elastic adapter was, and what it cost."""

import msgspec

from .recipe import Recipe
from .trial_record import Machine


class ElasticRecord(msgspec.Struct, frozen=True, kw_only=True):
    """Booked once per study, when the training is over or was found not to pay.

    Attributes:
        off: why there is none, or empty.
        recipe: of the training; its images are those of one pass.
        slices: trained in each step, on the same images.
        images: seen in all, every slice counted, for comparison with those of trials.
        seconds: of training, over all its processes.
        trainable_params: weights that learnt.
        peak_memory: MiB.
        digest: of the file, sixteen hexadecimal digits.
        outputs: some of one slice on a few search images: what tells whether another machine's bases fit the file.
        machine: on which it was trained.
    """

    off: str = ""
    recipe: Recipe | None = None
    slices: int = 0
    images: int = 0
    seconds: float = 0.0
    trainable_params: int = 0
    peak_memory: float = 0.0
    digest: str = ""
    outputs: tuple[float, ...] = ()
    machine: Machine | None = None

    @property
    def steps(self) -> int:
        """Optimiser steps; 0 where there is none."""
        return self.recipe.steps if self.recipe else 0

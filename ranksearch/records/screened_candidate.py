"""A candidate of the screen: a rank configuration and what a cheap stage said of it, untrained."""

import math
from typing import Any, Literal, get_args

import msgspec

from ..layers import RankConfiguration

#: of a study's cheap measurements: as truncated; or as a slice of the elastic adapter. Batch norm re-estimated in both.
CheapStage = Literal["untrained", "elastic"]
CHEAP_STAGES: tuple[CheapStage, ...] = get_args(CheapStage)

NOT_FINITE = 1000.0  # stands for the distance of outputs that are not finite, so that a sampler learns from it


class ScreenedCandidate(msgspec.Struct, frozen=True, kw_only=True):
    """One row of the screen.

    Attributes:
        number: in the screen, stages counted together.
        stage: which measurement it is.
        values: of the rank variables, all of them.
        compression_ratio: by the count of the study.
        accuracy, distance: on some of the search images; no distance where the outputs were not finite.
        seconds: from the end of the candidate before it, proposing and storing included.
    """

    number: int
    stage: CheapStage
    values: dict[str, Any]
    configuration: RankConfiguration
    compression_ratio: float
    accuracy: float
    distance: float | None
    seconds: float

    @property
    def objectives(self) -> tuple[float, float]:
        """What the screen maximises: −distance, and log2 of the compression ratio."""
        distance = NOT_FINITE if self.distance is None else min(self.distance, NOT_FINITE)
        return -distance, math.log2(self.compression_ratio)

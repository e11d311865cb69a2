"""The decay schedule: how the share λ of the pre-trained weight falls from 1 to 0 during a trial."""

import math
from collections.abc import Callable, Mapping
from typing import Any, Literal, get_args

import msgspec

from ..errors import StudyFileError, nearest

#: shape → share at x in [0, 1] of a layer's own decay; each is monotone from 1 (x = 0) to 0 (x = 1).
SCHEDULES: dict[str, Callable[[float], float]] = {
    "none": lambda x: 0.0,
    "linear": lambda x: 1.0 - x,
    "cosine": lambda x: (1.0 + math.cos(math.pi * x)) / 2,
    "exponential": lambda x: (math.exp(-5 * x) - math.exp(-5)) / (1 - math.exp(-5)),
    "polynomial": lambda x: (1.0 - x) ** 3,
    "staircase": lambda x: 1.0 - math.ceil(x * 5) / 5,
}
Fade = Literal["residual", "full"]
Order = Literal["together", "front-to-back", "back-to-front"]
FADES: tuple[Fade, ...] = get_args(Fade)
ORDERS: tuple[Order, ...] = get_args(Order)


class DecaySchedule(msgspec.Struct, frozen=True, kw_only=True):
    """Shape × fade × end × order over layers.

    Attributes:
        shape: one of :data:`SCHEDULES`. ``"none"`` truncates at once (λ = 0 from the first step): the default, since
            no other has paid in short trainings (reports/progression).
        fade: ``"residual"`` (the adapter starts as the truncated decomposition, W₀ − Ŵ₀ fades) or
            ``"full"`` (the core starts at zero, the whole W₀ fades).
        end: fraction of the trial in (0, 1] after which λ = 0 everywhere and the network recovers.
        order: layers fade together, or one after another along the network, each taking half of ``end``.
    """

    shape: str = "none"
    fade: Fade = "residual"
    end: float = 0.5
    order: Order = "together"

    def __post_init__(self) -> None:
        for key, value, allowed in (
            ("shape", self.shape, tuple(SCHEDULES)),
            ("fade", self.fade, FADES),
            ("order", self.order, ORDERS),
        ):
            if value not in allowed:
                raise StudyFileError(f"schedule.{key} = {value!r} is unknown{nearest(str(value), allowed)}")
        if not 0 < self.end <= 1:
            raise StudyFileError(f"schedule.end = {self.end} must be a fraction of the trial in (0, 1]")

    def canonical(self) -> "DecaySchedule":
        """The same schedule in one spelling: without decay, fade, end and order mean nothing."""
        return NO_DECAY if self.shape == "none" else self

    def changed(self, entries: Mapping[str, Any]) -> "DecaySchedule":
        """The same schedule but for some entries, in one spelling; where nothing decayed, the others are the default's.

        >>> NO_DECAY.changed({"shape": "linear"}).end
        0.5
        """
        given = DecaySchedule() if self.shape == "none" else self
        return msgspec.structs.replace(given, **entries).canonical()

    def decay(self, progress: float, depth: float = 0.0) -> float:
        """λ of a layer.

        Args:
            progress: fraction of the trial's steps done, in [0, 1].
            depth: the layer's place in the network, 0 (first) … 1 (last).

        >>> DecaySchedule(shape="linear", end=0.5).decay(0.25)
        0.5
        """
        if self.shape == "none" or progress >= self.end:
            return 0.0
        start, length = 0.0, self.end
        if self.order != "together":
            place = depth if self.order == "front-to-back" else 1.0 - depth
            start, length = place * self.end / 2, self.end / 2
        return SCHEDULES[self.shape](min(1.0, max(0.0, (progress - start) / length)))


NO_DECAY = DecaySchedule(shape="none", fade="residual", end=1.0, order="together")

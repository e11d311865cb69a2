"""Measured latency: of one network, and of a compressed one beside the dense one."""

import msgspec


class Latency(msgspec.Struct, frozen=True):
    """Seconds of one forward pass of a batch, float32, in evaluation mode: median and quartiles, > 0."""

    batch: int
    median: float
    lower: float
    upper: float


class LatencyComparison(msgspec.Struct, frozen=True):
    """A compressed network and the dense one, timed in turn on one machine.

    Attributes:
        threads: that both had.
    """

    compressed: Latency
    dense: Latency
    threads: int

    @property
    def ratio(self) -> float:
        """Dense / compressed: above 1 where compression made the network faster."""
        return self.dense.median / self.compressed.median

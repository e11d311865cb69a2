"""What a network is worth and costs: accuracy, parameters, bytes, latency, beside the dense network."""

import statistics
import time
from collections.abc import Callable, Mapping

import msgspec
import torch
from torch import nn

from ..records import Measurement
from .compressed import stored_bytes


class Latency(msgspec.Struct, frozen=True):
    """Seconds of one forward pass of a batch, float32, in evaluation mode: median and quartiles."""

    batch: int
    median: float
    lower: float
    upper: float


class Evaluation(msgspec.Struct, frozen=True):
    """One network, measured.

    Attributes:
        measured: on each split that was looked at.
        params: elements of all parameters, each counted once.
        bytes: of parameters and buffers, index vectors included.
    """

    label: str
    measured: tuple[Measurement, ...]
    params: int
    bytes: int
    latency: tuple[Latency, ...] = ()

    @classmethod
    def of(
        cls, label: str, network: nn.Module, measured: tuple[Measurement, ...], latency: tuple[Latency, ...] = ()
    ) -> "Evaluation":
        """Sizes of ``network`` beside what was measured of it; ``latency`` is what :func:`compare_latency` found."""
        params = sum(p.numel() for p in network.parameters())
        return cls(label, measured, params, stored_bytes(network), latency)


def compare_latency(
    networks: Mapping[str, Callable[[torch.Tensor], torch.Tensor]],
    example: torch.Tensor,
    batches: tuple[int, ...] = (1, 64),
    rounds: int = 30,
) -> dict[str, tuple[Latency, ...]]:
    """Latency of several networks in turn, A B A B …, so that a drifting machine slows all alike.

    Args:
        networks: by label: modules on the device of ``example``, or other callables from batch to batch, such as
            :class:`~.onnx_file.OnnxNetwork`.
        example: one input, (1, …).
        batches: batch sizes.
        rounds: timed passes of each network and batch size, after three untimed ones.
    """
    found: dict[str, tuple[Latency, ...]] = dict.fromkeys(networks, ())
    for batch in batches:
        inputs = example.expand(batch, *example.shape[1:]).contiguous()
        times: dict[str, list[float]] = {label: [] for label in networks}
        with torch.inference_mode():
            for turn in range(rounds + 3):
                for label, network in networks.items():
                    began = time.perf_counter()
                    network(inputs)
                    if inputs.device.type != "cpu":
                        torch.accelerator.synchronize(inputs.device)
                    if turn >= 3:
                        times[label].append(time.perf_counter() - began)
        for label, seconds in times.items():
            lower, median, upper = statistics.quantiles(seconds, n=4)
            found[label] += (Latency(batch, median, lower, upper),)
    return found

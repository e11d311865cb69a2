"""What a network is worth and costs: accuracy, parameters, bytes, latency, beside the dense network."""

import statistics
import time
from collections.abc import Callable, Hashable, Mapping
from typing import TypeVar

import msgspec
import torch
from torch import Tensor

from ..layers import NetworkCost
from ..records import Latency, Measurement


class Evaluation(msgspec.Struct, frozen=True):
    """One network, measured.

    Attributes:
        measured: on each split that was looked at.
        plain, pivoted: its cost by either count.
        bytes: of its file, or of parameters and buffers where it has none.
        latency: by runtime.
    """

    label: str
    measured: tuple[Measurement, ...]
    plain: NetworkCost
    pivoted: NetworkCost
    bytes: int
    latency: dict[str, tuple[Latency, ...]]


Label = TypeVar("Label", bound=Hashable)


def compare_latency(
    networks: Mapping[Label, Callable[[Tensor], Tensor]],
    example: Tensor,
    batches: tuple[int, ...] = (1, 64),
    rounds: int = 30,
) -> dict[Label, tuple[Latency, ...]]:
    """Latency of several networks in turn, A B A B …, so that a drifting machine slows all alike.

    Args:
        networks: by label: modules on the device of ``example``, or other callables from batch to batch, such as
            :class:`~.onnx_file.OnnxNetwork`.
        example: one input, (1, …).
        batches: batch sizes.
        rounds: timed passes of each network and batch size, after three untimed ones.
    """
    found: dict[Label, tuple[Latency, ...]] = dict.fromkeys(networks, ())
    for batch in batches:
        inputs = example.expand(batch, *example.shape[1:]).contiguous()
        times: dict[Label, list[float]] = {label: [] for label in networks}
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

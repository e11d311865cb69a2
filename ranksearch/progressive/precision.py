"""The number format and memory layout a network runs in, and the probe that chooses it for this machine."""

import logging
import statistics
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, Literal, TypeVar

import torch
from torch import Tensor, nn

from ..errors import MetricError, NetworkError, StudyFileError
from ..networks.copying import copy_network
from ..networks.determinism import isolated_generators, seed_generators
from .task import CLASSIFICATION, Task

log = logging.getLogger(__name__)
Network = TypeVar("Network", bound=nn.Module)

PROBE_SECONDS = 0.8  # of one candidate's timed steps; at least three are timed, whatever they take
MARGIN = 1.05  # a candidate must be so much faster than the simpler one before it


@dataclass(frozen=True)
class Precision:
    """How a network computes; its weights stay float32.

    Attributes:
        dtype: of convolutions and matrix products: ``"float32"``, or ``"bfloat16"`` by autocast.
        channels_last: memory layout of images and kernels.
    """

    dtype: Literal["float32", "bfloat16"] = "float32"
    channels_last: bool = False

    @property
    def name(self) -> str:
        """
        >>> Precision("bfloat16", channels_last=True).name
        'bfloat16/channels-last'
        """
        return self.dtype + ("/channels-last" if self.channels_last else "")

    @classmethod
    def parse(cls, name: str) -> "Precision":
        """The precision of that :attr:`name`.

        >>> Precision.parse("float32")
        Precision(dtype='float32', channels_last=False)
        """
        for precision in CANDIDATES:
            if precision.name == name:
                return precision
        raise StudyFileError(f"precision {name!r} is unknown; allowed: {', '.join(p.name for p in CANDIDATES)}")

    def autocast(self, device: torch.device) -> AbstractContextManager[object]:
        """The context for forward passes; float32 switches off an autocast from outside."""
        return torch.autocast(device.type, dtype=torch.bfloat16, enabled=self.dtype == "bfloat16")

    def place(self, network: Network, device: torch.device) -> Network:
        """Moves ``network`` itself, as ``nn.Module.to`` does, onto the device, and its 4-D tensors into the layout."""
        layout = torch.channels_last if self.channels_last else torch.contiguous_format
        network.to(device)
        for tensor in (*network.parameters(), *network.buffers()):
            if tensor.ndim == 4:  # nn.Module.to would ask the layout of 5-D kernels too, which have none such
                tensor.data = tensor.data.to(memory_format=layout)
        return network

    def outputs(self, network: Callable[[Tensor], Tensor], inputs: Tensor) -> Tensor:
        """The network's outputs in float32.

        Raises:
            NetworkError: they are not one tensor.
        """
        layout = torch.channels_last if self.channels_last and inputs.ndim == 4 else torch.preserve_format
        with self.autocast(inputs.device):
            outputs = network(inputs.clone(memory_format=layout))  # which it may change in place
        if not isinstance(outputs, Tensor):
            raise NetworkError(
                f"{type(network).__name__} returns a {type(outputs).__name__}; wrap it so that it returns one tensor"
            )
        return outputs.float()


FLOAT32 = Precision()
CANDIDATES = (  # simplest first
    FLOAT32,
    Precision("float32", channels_last=True),
    Precision("bfloat16"),
    Precision("bfloat16", channels_last=True),
)


def probe_precision(network: nn.Module, inputs: Tensor, targets: Tensor, task: Task = CLASSIFICATION) -> Precision:
    """The fastest precision for training ``network`` on the inputs' device, timed on a copy: three seconds, or four
    steps of each where a step is long.

    What an operation refuses is out, as is bfloat16 where its loss or gradients are not finite; on mps it is float32.
    Channels-last is for 4-D inputs. Timings vary: record the answer and reuse it.

    Args:
        inputs, targets: one training batch, as :meth:`Examples.batches` gives it.
    """
    if inputs.device.type == "mps":
        return FLOAT32
    images = inputs.ndim == 4
    chosen, fastest = FLOAT32, float("inf")
    with isolated_generators(inputs.device):
        for candidate in (FLOAT32, *(c for c in CANDIDATES[1:] if c.channels_last == images)):
            seconds = _seconds_per_step(copy_network(network), inputs, targets, task, candidate)
            log.info("%s: %.4f s per step", candidate.name, seconds)
            if seconds * MARGIN < fastest:
                chosen, fastest = candidate, seconds
    return chosen


def _shape(value: Any) -> str:
    if not isinstance(value, Tensor):
        return type(value).__name__
    return f"{tuple(value.shape)}" + ("" if value.requires_grad else " without gradient")


def _seconds_per_step(network: nn.Module, inputs: Tensor, targets: Tensor, task: Task, precision: Precision) -> float:
    """Median of forward and backward after one step to warm up; infinite where the precision does not serve."""
    device, taken = inputs.device, list[float]()
    network = precision.place(network, device).requires_grad_().train()
    while len(taken) < 4 or (sum(taken[1:]) < PROBE_SECONDS and len(taken) < 50):
        seed_generators(device, 0, len(taken))
        start = time.perf_counter()
        try:
            outputs = precision.outputs(network, inputs)
            loss = task.loss(outputs, targets)
            if not (isinstance(loss, Tensor) and loss.numel() == 1 and loss.requires_grad):
                raise MetricError(
                    f"the loss must be one scalar that follows from the outputs {tuple(outputs.shape)} by operations "
                    f"with gradients (targets {_shape(targets)}), got {_shape(loss)}"
                )
            network.zero_grad(set_to_none=True)
            loss.backward()
        except RuntimeError as error:
            if precision == FLOAT32:  # what it was trained in; the others it need not stand
                step = f"a training step of {len(inputs)} images"
                raise NetworkError(f"the network cannot run {step}: {error}") from error
            log.info("%s: %s", precision.name, error)
            return float("inf")
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        taken.append(time.perf_counter() - start)
    gradients = [p.grad for p in network.parameters() if p.grad is not None]
    finite = all(bool(g.isfinite().all()) for g in [loss, *gradients])
    if precision.dtype == "bfloat16" and not finite:
        log.info("%s: not finite", precision.name)
        return float("inf")
    return statistics.median(taken[1:])

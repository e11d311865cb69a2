"""Measuring a candidate: normalisation statistics re-estimated on training images, then outputs of a whole split.

The caller's network, its mode and the random generators are left as they were.
"""

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm, _NormBase

from ..errors import DataError, NetworkError, NonFiniteError
from ..networks import Examples
from ..networks.copying import copy_network
from ..networks.determinism import isolated_generators, seed_generators
from ..records import Measurement
from ..records.recipe import Augment
from .precision import FLOAT32, Precision
from .surgery import progressive_layers
from .task import CLASSIFICATION, Task

BATCH = 500  # images of a forward pass, at most
BATCH_NUMBERS = 64 * 3 * 224 * 224  # input numbers of one, where images are large
ORDER_SEED = 0  # of the images that batch norm is re-estimated on: the same for every candidate


def reestimate_batch_norm(
    network: nn.Module,
    train: Examples,
    images: int,
    *,
    augment: Augment = "all",
    precision: Precision = FLOAT32,
    device: torch.device | str = "cpu",
) -> nn.Module:
    """A copy in evaluation mode, on ``device``, whose running statistics are cumulative averages over ``images``.

    Those of batch norm, and of instance norm where it tracks them. Only normalisation modules are in training mode
    meanwhile, so dropout is off. The images are a fixed sample (data sets are often sorted by class, so the first
    ones would not do), augmented as the network's training was: what a batch norm learnt to scale is batches with
    crops' black borders, and statistics of other images cost a ResNet-20 three points. Statistics that these passes
    do not move, of a norm that is frozen or runs in training only, stay as they are.

    Args:
        images: number of training images, at most all of them; at least 2, since one may have no variance.
        augment: how much of ``train``'s augmentation the network was trained with, as in :class:`Recipe`.

    Raises:
        DataError: there is only one training image.
    """
    copied = copy_network(network).to(torch.device(device)).eval()
    reestimate_in_place(copied, train, images, augment=augment, precision=precision, device=device)
    return copied


def reestimate_in_place(
    network: nn.Module,
    train: Examples,
    images: int,
    *,
    augment: Augment,
    precision: Precision,
    device: torch.device | str,
) -> None:
    """As :func:`reestimate_batch_norm`, on ``network`` itself, which is in evaluation mode and on ``device``."""
    norms = [m for m in network.modules() if isinstance(m, _NormBase) and m.running_mean is not None]
    if not norms:
        return
    device, momenta = torch.device(device), [norm.momentum for norm in norms]
    before = [{name: buffer.clone() for name, buffer in norm.named_buffers(recurse=False)} for norm in norms]
    for norm in norms:
        norm.reset_running_stats()
        norm.train()
    if len(train) < 2:
        raise DataError("normalisation statistics need at least 2 training images, there is 1")
    images = min(max(images, 2), len(train))
    passes = -(-images // train.pass_size(BATCH, BATCH_NUMBERS))
    steps = min(passes, images // 2)  # of two images at least: one may have no variance
    with isolated_generators(device), torch.inference_mode():
        seed_generators(device, 0, 0)
        batches = train.batches(images // steps, seed=ORDER_SEED, steps=steps, augment=augment, device=device)
        for step, (inputs, _) in enumerate(batches, 1):
            for norm in norms:  # the plain average over batches, which are of equal size; only batch norm knows "None"
                norm.momentum = None if isinstance(norm, _BatchNorm) else 1 / step
            precision.outputs(network, inputs)
    for norm, momentum, buffers in zip(norms, momenta, before, strict=True):
        norm.momentum = momentum
        mean, variance = norm.get_buffer("running_mean"), norm.get_buffer("running_var")
        if not mean.any() and bool((variance == 1).all()):
            for name, buffer in buffers.items():
                norm.get_buffer(name).copy_(buffer)
    network.eval()


def predict(
    network: nn.Module, examples: Examples, *, precision: Precision = FLOAT32, device: torch.device | str = "cpu"
) -> Tensor:
    """The outputs of all examples in order, (n, …), float32, on the CPU; of a copy in evaluation mode."""
    device = torch.device(device)
    return outputs_of(precision.place(copy_network(network), device).eval(), examples, precision, device)


def outputs_of(
    network: Callable[[Tensor], Tensor], examples: Examples, precision: Precision, device: torch.device
) -> Tensor:
    """As :func:`predict`, of ``network`` itself, which is in evaluation mode and placed on ``device``, or anything
    else that maps inputs to outputs."""
    with isolated_generators(device), torch.inference_mode():
        seed_generators(device, 0, 0)  # a network may draw from them in evaluation mode, too
        batches = examples.batches(examples.pass_size(BATCH, BATCH_NUMBERS), device=device)
        outputs = [precision.outputs(network, inputs).cpu() for inputs, _ in batches]
    return torch.cat(outputs)


def measure(
    network: nn.Module,
    examples: Examples,
    *,
    dense_outputs: Tensor | None = None,
    task: Task = CLASSIFICATION,
    split: str = "search",
    precision: Precision = FLOAT32,
    device: torch.device | str = "cpu",
) -> Measurement:
    """Score, and distance from the dense network's outputs.

    Args:
        network: collapsed, or dense.
        dense_outputs: :func:`predict` of the dense network on the same examples; without them the distance is 0.
        split: ``"search"`` or ``"test"``, for the record.

    Raises:
        NetworkError: the network still has progressive layers: what is measured is what would be exported.
        NonFiniteError: an output, or the distance, is infinite or NaN.
    """
    if layers := progressive_layers(network):
        raise NetworkError(f"layer {next(iter(layers))!r} is progressive: collapse the network, then measure it")
    outputs = predict(network, examples, precision=precision, device=device)
    return judged(outputs, examples, dense_outputs, task, split)


def not_finite(outputs: Tensor) -> Tensor:
    """The numbers of the images on which an output is infinite or NaN."""
    return (~outputs.reshape(len(outputs), -1).isfinite().all(1)).nonzero()[:, 0]


def judged(outputs: Tensor, examples: Examples, dense_outputs: Tensor | None, task: Task, split: str) -> Measurement:
    """What :func:`measure` says of a network with these outputs."""
    if len(bad := not_finite(outputs)):
        raise NonFiniteError(
            f"the network's output is not finite on {len(bad)} of {len(outputs)} images ({split} split)"
        )
    distance = 0.0 if dense_outputs is None else task.distance(outputs, dense_outputs)
    return Measurement(task.score(outputs, examples.targets), distance, split, len(outputs))

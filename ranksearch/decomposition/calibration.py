"""Calibration: what a layer's inputs and the loss's gradients at its output look like, from a few training images.

Σ, the uncentred covariance of a layer's input patches, and Γ, that of the gradients at its output, turn an error of
the kernel into an error of the loss: to second order it is ½·tr(Γ ΔW Σ ΔWᵀ), the Kronecker-factored Fisher
information of Martens & Grosse (2015) and, for convolutions, Grosse & Martens (2016): Γ summed over positions,
patches and gradients taken as independent.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils._pytree import tree_map

from ..errors import DataError, NetworkError, describe
from ..layers import NetworkSpec
from ..networks import Examples
from ..networks.copying import copy_network
from ..networks.determinism import isolated_generators, seed_generators
from .covariance import shrink, shrinkage
from .patches import sampled_patches

IMAGES = 500  # training images
POSITIONS = 64  # of an image at one layer, at most: neighbouring patches say much the same
TEMPERATURE = 4.0  # at 1 a network is too sure of its training images, and Γ degenerates
GRADIENT_RIDGE = 1e-3  # of Γ's mean eigenvalue
DIMENSIONS = 12_288  # of a layer's patches, or outputs, beyond which a diagonal is kept (float64: 1.2 GB whole)
BLOCK = 512  # rows of a covariance that are made at once
BATCH = 64  # images of one forward pass, at most
BATCH_NUMBERS = 64 * 3 * 32 * 32  # input numbers of one forward pass
SEED = 0

UserLoss = Callable[[Tensor, Any], Tensor]


@dataclass(frozen=True, eq=False)
class Covariances:
    """Of every compressible layer by its name: shrunk, positive definite, float64, on the CPU.

    Attributes:
        patches: Σ, (C_in·K, C_in·K), channels as the slow index; its diagonal alone, (C_in·K,), for layers of more
            than ``DIMENSIONS``.
        gradients: Γ, (C_out, C_out), likewise, in squared units of the loss; empty for the basis ``"activations"``.
    """

    patches: Mapping[str, Tensor]
    gradients: Mapping[str, Tensor]


def calibrate(
    network: nn.Module,
    spec: NetworkSpec,
    train: Examples,
    basis: Literal["activations", "activations+gradients"],
    *,
    images: int = IMAGES,
    loss: UserLoss | None = None,
    device: torch.device | str = "cpu",
    batch: int | None = None,
) -> Covariances:
    """One pass over a fixed random sample of the training images, without augmentation, in evaluation mode.

    A layer that is called several times sums over its calls. Network and random generators are left as they are.

    Args:
        images: their number, at most all.
        loss: the user's own, (outputs, targets) → scalar, of one image at a time. None: the cross-entropy of the
            logits softened by T = 4, classes in dimension 1, on labels *sampled* from the network's own softened
            distribution, which makes Γ a Fisher information and not what a fitted network's few mistakes say.
        batch: images of one forward pass; by the size of an image unless given. The result depends on it by
            rounding alone.

    Raises:
        DataError: no training images.
        NetworkError: none of these images reaches a layer, or no gradient.
    """
    device, images = torch.device(device), min(images, len(train))
    if images < 1:
        raise DataError("calibration needs at least one training image")
    chosen = torch.randperm(len(train), generator=torch.Generator().manual_seed(SEED))[:images].sort().values
    batch = batch or train.pass_size(BATCH, BATCH_NUMBERS)
    two_sided = basis == "activations+gradients"
    watch = _Watch(copy_network(network).to(device).eval().requires_grad_(False), spec, two_sided)
    labels = torch.Generator().manual_seed(SEED)
    with isolated_generators(device), torch.set_grad_enabled(two_sided):
        for place, (inputs, targets) in enumerate(train.subset(chosen).batches(batch, device=device)):
            seed_generators(device, SEED, place)  # of a network that draws, and of the user's loss
            outputs = watch.forward(inputs)
            if two_sided:
                watch.backward(_softened(outputs, labels) if loss is None else _one_by_one(outputs, targets, loss))
    patches, gradients = {}, {}
    for name in spec.names:  # one after the other: these are the largest things in memory
        moment = watch.patches.pop(name, None)
        if moment is None or not moment.rows:
            raise NetworkError(
                f"layer {name!r}: none of {images} training images reaches it, so its inputs are not known; "
                "leave the layer out by ranks.exclude"
            )
        covariance = moment.whole.div_(moment.rows)
        patches[name] = shrink(covariance, shrinkage(covariance, moment.rows))
        if two_sided:
            if name not in watch.gradients:
                raise NetworkError(
                    f"layer {name!r}: no gradient of the loss reaches its output, so its basis cannot weigh outputs; "
                    'set ranks.basis = "activations", or leave the layer out by ranks.exclude'
                )
            gradients[name] = shrink(watch.gradients.pop(name).whole.div_(images), ridge=GRADIENT_RIDGE)
    return Covariances(patches, gradients)


class _Moment:
    """The sum of outer products of rows, in float64 on the CPU."""

    def __init__(self, dimensions: int) -> None:
        self.dimensions, self.rows = dimensions, 0
        self.sum = torch.zeros((dimensions,) * (1 if dimensions > DIMENSIONS else 2), dtype=torch.float64)
        self.waiting: list[Tensor] = []

    def add(self, rows: Tensor) -> None:
        """(n, dimensions); multiplied when enough have come together for a product to be worth its sum."""
        self.rows += len(rows)
        if self.sum.ndim == 1:
            self.sum += rows.square().sum(0).cpu()
            return
        self.waiting.append(rows.clone())  # the network may overwrite its own
        if sum(map(len, self.waiting)) >= self.dimensions:
            self._multiply()

    @property
    def whole(self) -> Tensor:
        """(dimensions, dimensions), or the diagonal of one that is too large."""
        self._multiply()
        return self.sum if self.sum.ndim == 1 else self.sum.tril_().add_(self.sum.tril(-1).T)

    def _multiply(self) -> None:
        if not self.waiting:
            return
        rows = torch.cat(self.waiting)
        self.waiting.clear()
        for low in range(0, self.dimensions, BLOCK):  # below the diagonal only: half the work
            block = slice(low, low + BLOCK)
            self.sum[block, : low + BLOCK] += (rows[:, block].T @ rows[:, : low + BLOCK]).cpu()


class _Watch:
    """A network whose layers show what goes in and, if wanted, what gradient comes back."""

    def __init__(self, network: nn.Module, spec: NetworkSpec, two_sided: bool) -> None:
        self.network, self.two_sided = network, two_sided
        self.patches: dict[str, _Moment] = {}
        self.gradients: dict[str, _Moment] = {}
        self.outputs: list[tuple[str, Tensor]] = []
        self.images = range(0)
        for name in spec.names:
            network.get_submodule(name).register_forward_hook(partial(self._see, name), with_kwargs=True)

    def forward(self, inputs: Tensor) -> Tensor:
        self.images = range(self.images.stop, self.images.stop + len(inputs))
        self.outputs.clear()
        return self.network(inputs)

    def backward(self, loss: Tensor) -> None:
        """Adds the gradients at the layers' outputs of a loss that is summed over the batch's images."""
        try:
            found = torch.autograd.grad(loss, [output for _, output in self.outputs], allow_unused=True)
        except RuntimeError as error:
            raise NetworkError(
                f"the gradients of the loss cannot be taken ({describe(error)}); "
                'set ranks.basis = "activations", which needs none'
            ) from error
        for (name, output), gradient in zip(self.outputs, found, strict=True):
            if gradient is not None:
                channels = -3 if isinstance(self.network.get_submodule(name), nn.Conv2d) else -1
                self._add(self.gradients, name, gradient.movedim(channels, -1).reshape(-1, output.shape[channels]))

    def _see(self, name: str, layer: Any, args: tuple[Any, ...], kwargs: dict[str, Any], output: Tensor) -> Tensor:
        inputs = args[0] if args else kwargs["input"]
        self._add(self.patches, name, sampled_patches(layer, inputs.detach(), self.images, POSITIONS))
        if not self.two_sided:
            return output
        self.outputs.append((name, output if output.requires_grad else output.requires_grad_()))
        return output.clone()  # what an in-place activation may overwrite

    def _add(self, moments: dict[str, _Moment], name: str, rows: Tensor) -> None:
        if name not in moments:
            moments[name] = _Moment(rows.shape[1])
        moments[name].add(rows)


def _softened(outputs: Tensor, generator: torch.Generator) -> Tensor:
    """Cross-entropy of z/T, summed over images, on labels drawn from softmax(z/T), image after image."""
    logits = outputs.movedim(1, -1) / TEMPERATURE
    edges = logits.detach().cpu().double().softmax(-1).cumsum(-1)
    drawn = [torch.rand(*edges.shape[1:-1], 1, generator=generator, dtype=torch.float64) for _ in edges]
    labels = (edges < torch.stack(drawn)).sum(-1).clamp_max(edges.shape[-1] - 1)
    return F.cross_entropy(logits.flatten(0, -2), labels.flatten().to(logits.device), reduction="sum")


def _one_by_one(outputs: Tensor, targets: Any, loss: UserLoss) -> Tensor:
    """The sum over images, whether the loss itself sums or averages over a batch."""
    losses = []
    for i in range(len(outputs)):
        target = tree_map(lambda of_all, i=i: of_all[i : i + 1], targets)
        losses.append(loss(outputs[i : i + 1], target).sum())
    return torch.stack(losses).sum()

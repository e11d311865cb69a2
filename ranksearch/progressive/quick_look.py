"""A quick look at one rank configuration after another, as truncated, batch norm re-estimated: the screen's measure.

The network is copied once. A candidate exchanges its layers in that copy for others that compute with their factors or
with the kernel composed of them, whichever is cheaper, and resets the running statistics where they stand; nothing is
copied or collapsed per candidate, and the function is the collapsed network's.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from ..decomposition import Decomposition
from ..errors import NonFiniteError
from ..layers import Dense, RankConfiguration
from ..networks import Examples
from ..networks.copying import copy_network
from ..networks.substitution import substitute
from ..records import Measurement
from ..records.recipe import Augment
from .adapter import ProgressiveLayer
from .measuring import judged, outputs_of, reestimate_in_place
from .precision import FLOAT32, Precision
from .task import CLASSIFICATION, Task


@dataclass(eq=False)
class QuickLook:
    """Call it with a configuration; made by :meth:`of`.

    Attributes:
        network: its own copy, with the layers of the configuration it looked at last.
        bases: by layer name; slices of an elastic adapter as well.
        dense: the dense layers by the same names.
        train: of which batch norm is re-estimated on ``images``, always the same.
        augment: how much of its augmentation ``network`` was trained with.
        measured: the images looked at; of ``split``.
        dense_outputs: of the dense network on them.
    """

    network: nn.Module
    bases: Mapping[str, Decomposition]
    dense: Mapping[str, nn.Module]
    train: Examples
    images: int
    augment: Augment
    measured: Examples
    dense_outputs: Tensor
    split: str
    task: Task
    precision: Precision
    device: torch.device

    @classmethod
    def of(
        cls,
        network: nn.Module,
        bases: Mapping[str, Decomposition],
        train: Examples,
        images: int,
        measured: Examples,
        dense_outputs: Tensor,
        *,
        augment: Augment = "all",
        split: str = "search",
        task: Task = CLASSIFICATION,
        precision: Precision = FLOAT32,
        device: torch.device | str = "cpu",
    ) -> "QuickLook":
        """A quick look at slices of ``bases`` within a copy of ``network``, which is left as it is."""
        device = torch.device(device)
        copied = precision.place(copy_network(network), device).eval()
        dense = {name: copied.get_submodule(name) for name in bases}
        return cls(
            copied, bases, dense, train, images, augment, measured, dense_outputs, split, task, precision, device
        )  # fmt: skip

    def __call__(self, configuration: RankConfiguration) -> Measurement:
        """Accuracy and distance; accuracy 0 and no distance where the outputs are not finite.

        Raises:
            RankError: the configuration has ranks that are not legal.
        """
        self._install(configuration)
        try:
            reestimate_in_place(
                self.network,
                self.train,
                self.images,
                augment=self.augment,
                precision=self.precision,
                device=self.device,
            )
            outputs = outputs_of(self.network, self.measured, self.precision, self.device)
            return judged(outputs, self.measured, self.dense_outputs, self.task, self.split)
        except NonFiniteError:
            return Measurement(0.0, None, self.split, len(self.measured))

    def _install(self, configuration: RankConfiguration) -> None:
        """Puts the layers of ``configuration`` in the place of those that stand there."""
        for name, dense in self.dense.items():
            ranks, standing = configuration[name], self.network.get_submodule(name)
            layer = dense
            if not isinstance(ranks, Dense):
                layer = ProgressiveLayer(dense, self.bases[name].factors(ranks))  # type: ignore[arg-type]
                layer.decay = 0.0
                self.precision.place(layer, self.device)
            if layer is not standing:
                self.network = substitute(self.network, {standing: layer})

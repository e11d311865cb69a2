"""The shape of a network as the search sees it: compressible layers, and what stays dense with its reason."""

from typing import Literal

import msgspec

Shape = tuple[int, int, int]  # (C, H, W) of an image
Flattened = Literal["linear", "kernel"]  # what a linear layer after a flatten is taken as


class LayerSpec(msgspec.Struct, frozen=True, kw_only=True):
    """One compressible layer: kernel ``(channels_out, channels_in, kH, kW)``; mode 0 = out, mode 1 = in.

    Attributes:
        name: dotted path of the module in the network, the first one where it is shared.
        kind: ``"conv2d"`` or ``"linear"`` (kernel 1×1).
        positions_in, positions_out: spatial positions (rows, for a linear layer) of one image at the
            layer's input and output, summed over all calls of a shared module.
        stride: for the reader; costs follow from the positions.
    """

    name: str
    kind: Literal["conv2d", "linear"]
    channels_out: int
    channels_in: int
    kernel: tuple[int, int] = (1, 1)
    bias: bool = False
    stride: tuple[int, int] = (1, 1)
    positions_in: int = 1
    positions_out: int = 1

    @property
    def kernel_size(self) -> int:
        """K = kH·kW."""
        return self.kernel[0] * self.kernel[1]

    @property
    def format(self) -> Literal["tucker2", "svd"]:
        """Tucker-2 for a k×k convolution, truncated SVD for a 1×1 convolution or a linear layer."""
        return "tucker2" if self.kernel_size > 1 else "svd"

    @property
    def modes(self) -> tuple[str, ...]:
        """Names of the layer's ranks, in the order used everywhere."""
        return ("rank_out", "rank_in") if self.format == "tucker2" else ("rank",)

    @property
    def params(self) -> int:
        """Parameters of the dense layer, bias included."""
        return self.channels_out * self.channels_in * self.kernel_size + self.bias * self.channels_out

    @property
    def macs(self) -> int:
        """Multiply-accumulates of the dense layer per image."""
        return self.channels_out * self.channels_in * self.kernel_size * self.positions_out


class LeftDense(msgspec.Struct, frozen=True, kw_only=True):
    """A module with weights that is not compressed, and why."""

    name: str
    type: str
    reason: str
    params: int
    macs: int = 0


class NetworkSpec(msgspec.Struct, frozen=True, kw_only=True):
    """A network as costs see it.

    Attributes:
        layers: compressible layers in the order of their first call.
        left_dense: every other module of a compressible type, or excluded, with its reason.
        params: all parameters of the network, each counted once.
        macs: multiply-accumulates per image of all convolutions and linear layers that are called.
        input_shape: shape of one image, (channels, height, width) or any other.
        flattened: linear layers after a flatten that are taken as kernels (C_out, C, H, W), which are among the
            ``layers`` under names of their own: (C, H, W) by the name of the linear layer.
    """

    layers: tuple[LayerSpec, ...]
    left_dense: tuple[LeftDense, ...] = ()
    params: int
    macs: int
    input_shape: tuple[int, ...] = ()
    flattened: dict[str, Shape] = {}

    def __getitem__(self, name: str) -> LayerSpec:
        for layer in self.layers:
            if layer.name == name:
                return layer
        raise KeyError(name)

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(layer.name for layer in self.layers)

    @property
    def fixed_params(self) -> int:
        """Parameters outside the compressible layers: norms, layers left dense."""
        return self.params - sum(layer.params for layer in self.layers)

    @property
    def fixed_macs(self) -> int:
        """Multiply-accumulates per image outside the compressible layers."""
        return self.macs - sum(layer.macs for layer in self.layers)

"""What a layer's kernel is multiplied with: its inputs as rows, one for each position of its output."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F


def windows(layer: nn.Conv2d | nn.Linear, inputs: Tensor) -> Tensor:
    """A view (N, H_out, W_out, C_in, kH, kW) of the padded inputs: what the kernel sees at each position.

    Padding (of any mode, ``"same"`` and ``"valid"`` too), stride and dilation are the layer's own. For a linear layer
    every row of its input is a position: (rows, 1, 1, C_in, 1, 1).
    """
    if isinstance(layer, nn.Linear):
        return inputs.reshape(-1, 1, 1, layer.in_features, 1, 1)
    inputs = inputs.reshape(-1, *inputs.shape[-3:])  # an image without a batch is a batch of one
    around = layer._reversed_padding_repeated_twice  # left, right, top, bottom
    if any(around):
        inputs = F.pad(inputs, around, "constant" if layer.padding_mode == "zeros" else layer.padding_mode)
    inputs = inputs.contiguous(memory_format=torch.channels_last)  # whoever gathers windows reads long runs
    outer, steps, inner = [], [], []
    for axis in (0, 1):
        kernel, stride, dilation = layer.kernel_size[axis], layer.stride[axis], layer.dilation[axis]
        step = inputs.stride(2 + axis)
        outer.append((inputs.shape[2 + axis] - dilation * (kernel - 1) - 1) // stride + 1)
        steps.append(stride * step)
        inner.append(dilation * step)
    return inputs.as_strided(
        (len(inputs), *outer, inputs.shape[1], *layer.kernel_size),
        (inputs.stride(0), *steps, inputs.stride(1), *inner),
        inputs.storage_offset(),
    )


def sampled_patches(layer: nn.Conv2d | nn.Linear, inputs: Tensor, images: range, most: int) -> Tensor:
    """Patches as rows, (n, C_in·K), channels as the slow index; at most ``most`` positions of each image.

    Which positions, the image's number alone decides: no batch size, no layer, no generator of the caller's. Where
    a layer mixes images (its positions cannot be shared out among them), the batch counts as one image.

    Args:
        layer: convolution without groups, or linear.
        inputs: its input for a batch, images first.
        images: their numbers.
        most: ≥ 1.
    """
    seen = windows(layer, inputs)
    positions = seen.shape[:3].numel()
    if positions % len(images):
        images, most = images[:1], most * len(images)
    each = positions // len(images)
    if each <= most:
        return seen.reshape(positions, -1)
    chosen = torch.cat([k * each + _draw(image, each, most) for k, image in enumerate(images)])
    return seen[torch.unravel_index(chosen.to(inputs.device), seen.shape[:3])].flatten(1)


def _draw(image: int, of: int, number: int) -> Tensor:
    """``number`` different integers below ``of``."""
    return torch.randperm(of, generator=torch.Generator().manual_seed(image))[:number]

"""The two ends of a pivoted layer: channels that pass through, and one 1×1 layer for the others.

Written with plain operations and int64 buffers, so that they export, reload and follow a change of dtype.
"""

import torch
from torch import Tensor, nn


def channel_dim(layer: nn.Module) -> int:
    """The dimension of channels in a layer's input, from the end: an image, with or without batch, or features."""
    return -3 if isinstance(layer, nn.Conv2d) else -1


class PivotedOutput(nn.Module):
    """``rank_out`` → ``C_out`` channels: the core's output is the pivots; the others are mixed from it.

    Attributes:
        mix: 1×1 convolution or linear layer, rank_out → C_out − rank_out.
        order: (C_out,) where each channel stands in the concatenation of pivots and others.
    """

    order: Tensor

    def __init__(self, mix: nn.Conv2d | nn.Linear, channels: int) -> None:
        super().__init__()
        self.mix = mix
        self.dim = channel_dim(mix)
        self.register_buffer("order", torch.arange(channels, device=mix.weight.device))

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat((x, self.mix(x)), self.dim).index_select(self.dim, self.order)


class PivotedInput(nn.Module):
    """``C_in`` → ``rank_in`` channels: the pivots pass through, the others are mixed onto them.

    Attributes:
        mix: 1×1 convolution, C_in − rank_in → rank_in.
        pivots: (rank_in,) the channels that pass through.
        others: (C_in − rank_in,) the channels that ``mix`` reads.
    """

    pivots: Tensor
    others: Tensor

    def __init__(self, mix: nn.Conv2d | nn.Linear, channels: int, rank: int) -> None:
        super().__init__()
        self.mix = mix
        self.dim = channel_dim(mix)
        index = torch.arange(channels, device=mix.weight.device)
        self.register_buffer("pivots", index[:rank].clone())
        self.register_buffer("others", index[rank:].clone())

    def forward(self, x: Tensor) -> Tensor:
        return x.index_select(self.dim, self.pivots) + self.mix(x.index_select(self.dim, self.others))

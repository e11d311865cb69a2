"""The progressive layer: one convolution whose kernel runs from the pre-trained weight to its factors.

``W(λ) = Ŵ(core, factor_out, factor_in) + λ·R`` with the frozen constant ``R = W₀ − s·Ŵ₀``; s = 1 (residual
fade): the adapter starts as the truncated decomposition; s = 0 (full fade): it starts at zero and the whole
pre-trained weight fades. Either way the layer is the dense one at λ = 1 and its factors alone at λ = 0.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..decomposition import Factors, deploy
from ..errors import NetworkError
from ..layers import Form
from ..records.schedule import Fade

#: Throughput of the factors' thin convolutions as a share of one dense convolution's. ResNet-20 on two cores breaks
#: even near 0.53 of the dense multiply-accumulates in bfloat16, near 0.58 in float32. A constant rather than a timing:
#: equal runs take equal paths.
THIN_THROUGHPUT = 0.5


class ProgressiveLayer(nn.Module):
    """Stands for a convolution (groups = 1) or a linear layer while it is fine-tuned; made by :meth:`of`.

    Attributes:
        shell: the dense layer, with its bias; its weight is a buffer now and holds the residual R.
        core: (rank_out, rank_in, kH, kW), or None for a truncated SVD; learns.
        factor_out: (C_out, rank_out); learns.
        factor_in: (C_in, rank_in); learns.
        decay: λ in [0, 1], set from outside; 1 at first.
        depth: the layer's place among the network's progressive layers, 0 (first) … 1 (last).
    """

    def __init__(self, shell: nn.Conv2d | nn.Linear, factors: Factors, depth: float = 0.0) -> None:
        super().__init__()
        self.shell = shell
        self.core = None if factors.core is None else nn.Parameter(factors.core)
        self.factor_out = nn.Parameter(factors.factor_out)
        self.factor_in = nn.Parameter(factors.factor_in)
        self.decay = 1.0
        self.depth = depth

    @classmethod
    def of(cls, dense: nn.Module, factors: Factors, fade: Fade = "residual", depth: float = 0.0) -> "ProgressiveLayer":
        """The layer that starts as ``dense`` and ends as ``factors``; ``dense`` becomes its shell, factors are copied.

        Raises:
            NetworkError: ``dense`` is neither a Conv2d of one group nor a Linear.
        """
        dense = require_layer(dense)
        core = None if factors.core is None else factors.core.detach().clone()
        start = Factors(core, factors.factor_out.detach().clone(), factors.factor_in.detach().clone())
        residual = dense.weight.detach().clone()
        if fade == "residual":
            residual -= start.kernel().reshape(residual.shape)
        else:  # one zero factor makes Ŵ₀ = 0, and the others give it a gradient
            (start.factor_in if core is None else core).zero_()
        return cls(freeze(dense, residual), start, depth)

    def factors(self) -> Factors:
        """The adapter as it stands: the parameters themselves."""
        return Factors(self.core, self.factor_out, self.factor_in)

    def kernel(self) -> Tensor:
        """W(λ), of the dense weight's shape; composed in float32 whatever the autocast, where Ŵ and λR can cancel."""
        residual = self.shell.weight
        kernel = composed(self.factors(), residual.shape)
        return torch.add(kernel, residual, alpha=self.decay) if self.decay else kernel

    def forward(self, input: Tensor) -> Tensor:  # the name by which torch's layers may be called
        if not self.prefers_factors(input):
            return with_kernel(self.shell, input, self.kernel(), self.shell.bias)
        y = with_factors(self.shell, input, self.factors())
        return torch.add(y, with_kernel(self.shell, input, self.shell.weight), alpha=self.decay) if self.decay else y

    def prefers_factors(self, x: Tensor) -> bool:
        """See :func:`prefers_factors`."""
        return prefers_factors(self.shell, x, self.factors(), fading=self.decay > 0)

    @torch.no_grad()
    def deployed(self, form: Form) -> nn.Module:
        """The compressed layer that computes what this one computes at λ = 0, in either form; shares no memory."""
        return deploy(self.shell, self.factors(), form).requires_grad_()

    def extra_repr(self) -> str:
        return f"{self.factors().ranks}, decay={self.decay:g}"


def require_layer(dense: nn.Module) -> nn.Conv2d | nn.Linear:
    """``dense``, where it is of a kind that can have factors.

    Raises:
        NetworkError: it is neither a Conv2d of one group nor a Linear.
    """
    if not isinstance(dense, nn.Conv2d | nn.Linear) or getattr(dense, "groups", 1) != 1:
        raise NetworkError(f"only a Conv2d with groups = 1 or a Linear can be progressive, got {dense}")
    return dense


def freeze(layer: nn.Conv2d | nn.Linear, weight: Tensor) -> nn.Conv2d | nn.Linear:
    """``layer`` itself, with this weight as a buffer."""
    del layer.weight
    layer.register_buffer("weight", weight)
    return layer


def thaw(layer: nn.Conv2d | nn.Linear, learns: bool) -> None:
    """Makes a copy of a frozen weight the layer's parameter again."""
    weight = layer.weight.detach().clone()
    del layer.weight
    layer.weight = nn.Parameter(weight, requires_grad=learns)


def prefers_factors(shell: nn.Conv2d | nn.Linear, x: Tensor, factors: Factors, fading: bool = False) -> bool:
    """Whether this input takes fewer multiply-accumulates through the factors than through a composed kernel.

    The factors run at :data:`THIN_THROUGHPUT`, and beside them the residual while ``fading``. Composing is paid
    once a batch, which weighs where a large kernel meets few positions: late layers, linear layers.
    """
    (channels_out, rank_out), (channels_in, rank_in) = factors.factor_out.shape, factors.factor_in.shape
    taps = shell.weight[0, 0].numel()  # K; 1 for a linear layer
    stride = shell.stride[0] * shell.stride[1] if isinstance(shell, nn.Conv2d) else 1
    positions = x.numel() // channels_in // stride
    if factors.core is None:
        side_in, core, composing = 0, channels_in * rank_in, channels_out * channels_in * rank_in
    else:
        side_in, core = channels_in * rank_in * stride, taps * rank_in * rank_out
        composing = taps * rank_out * channels_in * (rank_in + channels_out)
    dense = positions * taps * channels_in * channels_out
    factorised = positions * (side_in + core + rank_out * channels_out) / THIN_THROUGHPUT
    return factorised + (dense if fading else 0) < composing + dense


def composed(factors: Factors, shape: torch.Size) -> Tensor:
    """Ŵ in a dense weight's ``shape``, in float32 whatever the autocast."""
    with torch.autocast(factors.factor_out.device.type, enabled=False):
        return factors.kernel().reshape(shape)


def with_kernel(shell: nn.Conv2d | nn.Linear, x: Tensor, kernel: Tensor, bias: Tensor | None = None) -> Tensor:
    """The dense layer with another kernel, of any channel counts."""
    if isinstance(shell, nn.Conv2d):
        return shell._conv_forward(x, kernel, bias)
    return F.linear(x, kernel, bias)


def with_factors(shell: nn.Conv2d | nn.Linear, x: Tensor, factors: Factors) -> Tensor:
    """The layer as 1×1 (C_in → rank_in), core with its geometry, 1×1 (rank_out → C_out); two layers for an SVD."""
    if isinstance(shell, nn.Linear):
        return F.linear(F.linear(x, factors.factor_in.T), factors.factor_out, shell.bias)
    into, out = factors.factor_in.T[:, :, None, None], factors.factor_out[:, :, None, None]
    inner = with_kernel(shell, x, into) if factors.core is None else with_kernel(shell, F.conv2d(x, into), factors.core)
    return F.conv2d(inner, out, shell.bias)

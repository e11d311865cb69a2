"""The elastic adapter: one set of factors that serves every rank configuration of a network.

The bases of a layer nest, so the leading blocks of full-rank, ordered factors and core are the factors of every rank
pair (after slimmable networks, Yu et al. 2019, and nested low-rank profiles). Trained with another configuration's
slice at each step, they are a start, and a prediction, for all of them.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from ..decomposition import Decomposition, Factors, NestedBases
from ..layers import Dense, LayerRanks, RankConfiguration, full_ranks
from ..layers.configuration import as_tuple
from ..networks.copying import copy_network
from ..networks.substitution import substitute
from ..records.recipe import Augment
from .adapter import composed, freeze, prefers_factors, require_layer, thaw, with_factors, with_kernel
from .surgery import require_layers

KEPT_STARTS = 2  # times a layer's weight: the memory of its least-squares cores, of which small ones come again


class ElasticLayer(nn.Module):
    """Stands for a convolution (groups = 1) or a linear layer while all its slices are trained; made by :meth:`of`.

    A slice is a leading block of the parameters plus a constant. Cores do not nest under data-aware bases, so the
    constant is the least-squares core *of these ranks* less the initial core's slice: every slice starts exactly as
    its error table says. That is why the core, and an SVD's factor_in, which is its core, are kept as what training
    adds to the start.

    Attributes:
        shell: the dense layer, with its bias; its weight is a buffer now, used where ``ranks`` are dense.
        factor_out: (C_out, n), n the full rank of mode 0, ordered, orthonormal at first; learns.
        factor_in: (C_in, m) likewise; for an SVD, (C_in, n) and zero at first; learns.
        core: (n, m, kH, kW), zero at first, or None for an SVD; learns.
        ranks: of the slice that is computed, set from outside; dense at first.
        place: of the layer in the network's order, 0, 1, …
        learns: whether the dense weight may learn, its owner had not frozen it.
        starts: some of the bases' cores by ranks, the latest last.
    """

    def __init__(self, shell: nn.Conv2d | nn.Linear, bases: NestedBases, place: int = 0) -> None:
        super().__init__()
        self.shell, self.bases, self.place = shell, bases, place
        self.ranks: LayerRanks = Dense()
        self.learns = True
        self.starts: dict[LayerRanks, Tensor] = {}
        full = full_ranks(bases.spec)
        rank_out, rank_in = full[0], full[-1]
        like = bases.basis_out
        self.factor_out = nn.Parameter(like[:, :rank_out].clone())
        if bases.basis_in is None:
            self.core = None
            self.factor_in = nn.Parameter(like.new_zeros(bases.spec.channels_in, rank_in))
        else:
            self.core = nn.Parameter(like.new_zeros(rank_out, rank_in, *bases.spec.kernel))
            self.factor_in = nn.Parameter(bases.basis_in[:, :rank_in].clone())

    @classmethod
    def of(cls, dense: nn.Module, bases: NestedBases, place: int = 0) -> "ElasticLayer":
        """The layer whose every slice starts as ``bases`` give it; ``dense`` becomes its shell.

        Raises:
            NetworkError: ``dense`` is neither a Conv2d of one group nor a Linear.
        """
        shell = require_layer(dense)
        learns = shell.weight.requires_grad
        made = cls(freeze(shell, shell.weight.detach().clone()), bases, place)
        made.learns = learns
        return made

    def slice(self, ranks: LayerRanks) -> Factors:
        """The factors of any legal ranks; differentiable in the leading blocks.

        Raises:
            RankError: ranks outside the layer's legal range, or a dense layer, which has no factors.
        """
        start = self._start(ranks)
        rank_out, rank_in = as_tuple(ranks)[0], as_tuple(ranks)[-1]
        factor_out, factor_in = self.factor_out[:, :rank_out], self.factor_in[:, :rank_in]
        if self.core is None:
            return Factors(None, factor_out, start + factor_in)
        return Factors(start + self.core[:rank_out, :rank_in], factor_out, factor_in)

    @torch.no_grad()
    def factors(self, ranks: LayerRanks) -> Factors:
        """The slice as it stands, in storage of its own: a trained layer is a :class:`Decomposition`."""
        found = self.slice(ranks)
        core = None if found.core is None else found.core.clone()
        return Factors(core, found.factor_out.clone(), found.factor_in.clone())

    def _start(self, ranks: LayerRanks) -> Tensor:
        """The bases' core of these ranks, or an SVD's factor_in; two small products, kept for a while."""
        if ranks not in self.starts:
            found = self.bases.factors(ranks)
            self.starts[ranks] = (found.factor_in if found.core is None else found.core).to(self.factor_out.device)
            room = KEPT_STARTS * self.shell.weight.numel()
            while sum(start.numel() for start in self.starts.values()) > room and len(self.starts) > 1:
                del self.starts[next(iter(self.starts))]
        return self.starts[ranks]

    def forward(self, input: Tensor) -> Tensor:  # the name by which torch's layers may be called
        weight, bias = self.shell.weight, self.shell.bias
        if isinstance(self.ranks, Dense):
            return with_kernel(self.shell, input, weight, bias)
        factors = self.slice(self.ranks)
        if prefers_factors(self.shell, input, factors):
            return with_factors(self.shell, input, factors)
        return with_kernel(self.shell, input, composed(factors, weight.shape), bias)

    def extra_repr(self) -> str:
        return f"full ranks {full_ranks(self.bases.spec)}, {self.ranks}"


@dataclass(frozen=True)
class Elastic:
    """What a shared training leaves: ``attach(elastic.network, elastic.bases, configuration)`` starts from its slice.

    Attributes:
        network: the dense network with the norms and biases of the shared training.
        bases: trained slices by layer, in the network's order.
        augment: how much of the data's augmentation the shared training used.
    """

    network: nn.Module
    bases: Mapping[str, Decomposition]
    augment: Augment = "all"

    @classmethod
    def of(cls, trained: nn.Module, augment: Augment = "all") -> "Elastic":
        """From a network with elastic layers, which is left as it is."""
        bases = [layer.bases for layer in elastic_layers(trained).values()]
        copied = copy_network(trained, shared=bases)  # constants, and large
        layers = dict(sorted(elastic_layers(copied).items(), key=lambda named: named[1].place))
        for layer in layers.values():
            layer.starts.clear()
            thaw(layer.shell, layer.learns)
        return cls(substitute(copied, {layer: layer.shell for layer in layers.values()}).eval(), layers, augment)


def make_elastic(network: nn.Module, bases: Mapping[str, NestedBases]) -> nn.Module:
    """A copy of ``network`` with an elastic layer wherever there are bases; it computes what ``network`` does.

    Args:
        network: dense; left as it is. A module that stands in several places stays one module.
        bases: by layer name, in the network's order.
    """
    copied = copy_network(network)
    dense = {copied.get_submodule(name): of for name, of in bases.items()}
    return substitute(copied, {d: ElasticLayer.of(d, of, place) for place, (d, of) in enumerate(dense.items())})


def elastic_layers(network: nn.Module) -> dict[str, ElasticLayer]:
    """The elastic layers by the names of the dense layers they stand for, each once."""
    return {name: module for name, module in network.named_modules() if isinstance(module, ElasticLayer)}


def set_slice(network: nn.Module, configuration: RankConfiguration) -> None:
    """Sets the slice that an elastic network computes; layers that are dense or not named compute with their weights.

    Raises:
        RankError: the configuration has ranks for a layer that is not elastic.
    """
    layers = elastic_layers(network)
    require_layers(network, configuration, layers, "elastic")
    for name, layer in layers.items():
        layer.ranks = configuration[name]

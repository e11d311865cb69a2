"""The form in which each layer of a compressed network runs fastest, by measurement, and the network in those forms."""

from collections.abc import Collection, Mapping

import msgspec
import torch
from torch import Tensor, nn

from ..decomposition import deploy, recompose
from ..layers import Dense, LayerForm, LayerRanks, RankConfiguration, layer_forms
from ..networks.copying import copy_network
from ..networks.substitution import substitute
from ..records import Latency
from .evaluate import compare_latency
from .runtimes import RUNTIMES, Prepare

EQUAL = 0.05  # of a latency: what two timings of one layer differ by


class LayerLatency(msgspec.Struct, frozen=True):
    """One layer on the input that it gets in its network, by form; a batch size for all.

    Attributes:
        shape: of its input, batch first.
        forms: latency by form; ``"dense"`` is the layer recomposed, as fast as the dense network's own.
        params: by form.
    """

    name: str
    ranks: LayerRanks
    shape: tuple[int, ...]
    forms: dict[LayerForm, Latency]
    params: dict[LayerForm, int]

    def fastest(self, among: Collection[LayerForm]) -> LayerForm:
        """The form of the lowest median, of those allowed; of those as fast within :data:`EQUAL`, the smallest.

        A layer alone finds its weights in the cache, where the network will not: of two that seem equal, the one with
        fewer of them is the faster.
        """
        allowed = [form for form in self.forms if form in among]
        bound = (1 + EQUAL) * min(self.forms[form].median for form in allowed)
        return min((f for f in allowed if self.forms[f].median <= bound), key=self.params.__getitem__)


def layer_latencies(
    network: nn.Module,
    configuration: RankConfiguration,
    example: Tensor,
    *,
    batch: int = 1,
    rounds: int = 30,
    prepare: Prepare = RUNTIMES["torch"],
) -> tuple[LayerLatency, ...]:
    """Times every compressed layer in each of its forms, alone, its forms in turn.

    Args:
        network: as :func:`~ranksearch.progressive.collapse` returns it; on the device of ``example``.
        configuration: its ranks; layers that are dense or not named are left out.
        example: one input, (1, …).
        prepare: how another runtime runs a layer.
    """
    inputs = _inputs(network, configuration, example.expand(batch, *example.shape[1:]).contiguous())
    found = []
    for name, x in inputs.items():
        ranks = configuration[name]
        dense, factors = recompose(network.get_submodule(name))
        forms: dict[LayerForm, nn.Module] = {
            form: dense if factors is None else deploy(dense, factors, form) for form in layer_forms(ranks)
        }
        prepared = {str(form): prepare(layer, x) for form, layer in forms.items()}
        timed = compare_latency(prepared, x, (len(x),), rounds)
        params = {form: sum(p.numel() for p in layer.parameters()) for form, layer in forms.items()}
        latencies = {form: msgspec.structs.replace(timed[form][0], batch=batch) for form in forms}
        found.append(LayerLatency(name, ranks, tuple(x.shape), latencies, params))
    return tuple(found)


def in_forms(network: nn.Module, forms: Mapping[str, LayerForm]) -> nn.Module:
    """A copy of a compressed network that computes the same, its named layers in other forms.

    Args:
        network: collapsed, in the plain or the pivoted form: a merged layer no longer knows its ranks.
    """
    copied = copy_network(network)
    replaced: dict[nn.Module, nn.Module] = {}
    for name, form in forms.items():
        layer = copied.get_submodule(name)
        dense, factors = recompose(layer)
        if factors is not None:
            replaced[layer] = deploy(dense, factors, form).train(network.training)
    return substitute(copied, replaced)


@torch.no_grad()
def _inputs(network: nn.Module, configuration: RankConfiguration, x: Tensor) -> dict[str, Tensor]:
    """What each compressed layer is given at its first call, in the order of the calls."""
    inputs: dict[str, Tensor] = {}
    names = {network.get_submodule(n): n for n, r in configuration.layers.items() if not isinstance(r, Dense)}

    def keep(layer: nn.Module, args: tuple[Tensor, ...], kwargs: dict[str, Tensor]) -> None:
        inputs.setdefault(names[layer], args[0] if args else kwargs["input"])

    hooks = [layer.register_forward_pre_hook(keep, with_kwargs=True) for layer in names]
    try:
        network(x)
    finally:
        for hook in hooks:
            hook.remove()
    return inputs

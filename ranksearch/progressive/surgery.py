"""Putting progressive layers into a network, setting their decay, and collapsing them into what is deployed."""

from collections.abc import Collection, Mapping

from torch import nn

from ..decomposition import Decomposition
from ..errors import NetworkError, RankError
from ..layers import Dense, Form, RankConfiguration
from ..networks.copying import copy_network
from ..networks.substitution import substitute
from ..records import DecaySchedule
from ..records.schedule import Fade
from .adapter import ProgressiveLayer


def attach(
    network: nn.Module, bases: Mapping[str, Decomposition], configuration: RankConfiguration, fade: Fade = "residual"
) -> nn.Module:
    """A copy of ``network`` that computes the same, with a progressive layer wherever the configuration has ranks.

    Args:
        network: dense; left as it is. A module that stands in several places stays one module.
        bases: by layer name, in the network's order, which gives the layers their depth.
        configuration: layers that are dense or not named stay untouched.
        fade: ``"residual"`` or ``"full"``. Without decay (shape ``"none"``) it must be ``"residual"``: a core of
            zeros with nothing beside it is a dead layer (:meth:`DecaySchedule.canonical` sees to it).

    Raises:
        RankError: the configuration names a layer that has no bases, or ranks that are not legal.
    """
    require_layers(network, configuration, bases, "compressible")
    copied = copy_network(network)
    names = [name for name in bases if not isinstance(configuration[name], Dense)]
    layers: dict[nn.Module, nn.Module] = {}
    for index, name in enumerate(names):
        dense, factors = copied.get_submodule(name), bases[name].factors(configuration[name])
        layers[dense] = ProgressiveLayer.of(dense, factors, fade, depth=index / max(len(names) - 1, 1))
    return substitute(copied, layers)


def require_layers(network: nn.Module, configuration: RankConfiguration, known: Collection[str], kind: str) -> None:
    """Raises :class:`RankError` where the configuration has ranks for a layer that is not among the ``known``."""
    unknown = [n for n, ranks in configuration.layers.items() if n not in known and not isinstance(ranks, Dense)]
    if unknown:
        raise RankError(
            f"no {kind} layer {', '.join(map(repr, unknown))} in {type(network).__name__}; it has "
            f"{', '.join(known) or 'none'}: is this configuration for another network?"
        )


def progressive_layers(network: nn.Module) -> dict[str, ProgressiveLayer]:
    """The progressive layers by the names of the dense layers they stand for, each once."""
    return {name: module for name, module in network.named_modules() if isinstance(module, ProgressiveLayer)}


def set_decay(network: nn.Module, schedule: DecaySchedule, progress: float) -> float:
    """Sets λ of every progressive layer.

    Args:
        progress: fraction of the training's steps done, in [0, 1].

    Returns:
        The largest λ; 0 where there are no progressive layers.
    """
    largest = 0.0
    for module in network.modules():
        if isinstance(module, ProgressiveLayer):
            module.decay = schedule.decay(progress, module.depth)
            largest = max(largest, module.decay)
    return largest


def collapse(network: nn.Module, form: Form) -> nn.Module:
    """A copy in evaluation mode with every progressive layer replaced by the compressed layer it has become.

    Args:
        network: left as it is.
        form: ``"plain"`` or ``"pivoted"``; the function is the same.

    Raises:
        NetworkError: a layer still carries a share λ > 0 of its residual, which collapsing would throw away.
    """
    for name, layer in progressive_layers(network).items():
        if layer.decay != 0:
            raise NetworkError(
                f"layer {name!r} cannot collapse at λ = {layer.decay:g}: finish the decay, or set_decay to 0"
            )
    copied = copy_network(network)
    layers: dict[nn.Module, nn.Module] = {layer: layer.deployed(form) for layer in progressive_layers(copied).values()}
    return substitute(copied, layers).eval()

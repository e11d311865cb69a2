"""Other modules in the places of a network's own."""

from collections.abc import Mapping

from torch import nn


def substitute(network: nn.Module, replacements: Mapping[nn.Module, nn.Module]) -> nn.Module:
    """``network`` with modules replaced in every place where they stand, itself perhaps."""
    for parent in list(network.modules()):
        for name, child in parent._modules.items():  # named_children() would name a shared child once
            if child is not None and child in replacements:
                parent._modules[name] = replacements[child]
    return replacements.get(network, network)

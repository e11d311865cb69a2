"""A rehearsal of the surgery: every layer to be replaced has a stand-in put in its place, on a copy of the network.

A layer that the forward pass reaches another way (a plain list, a bound method, a closure), whose attributes it reads,
or whose type it asks for would be computed wrongly, or not at all, once something else stands in its place.
"""

from collections.abc import Iterable, Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_leaves

from ..errors import NetworkError
from .copying import copy_network
from .substitution import substitute
from .trace import evaluation

ELSEWHERE = "it is called or read other than through its place in the network"


class StandIn(nn.Module):
    """Computes what ``dense`` computes, counts its calls, and notes which attributes of ``dense`` are asked for.

    Attributes:
        calls: how often it ran.
        read: the first attribute read of it that only ``dense`` has.
    """

    def __init__(self, dense: nn.Module) -> None:
        super().__init__()
        self.__dict__["dense"] = dense  # hidden from modules() and parameters()
        self.calls = 0
        self.read: str | None = None
        first = next(dense.parameters())
        self.factor = nn.Parameter(first.new_empty(0))  # whoever asks for any parameter's device or dtype finds one

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        self.calls += 1
        return self.__dict__["dense"](*args, **kwargs)

    def __getattr__(self, name: str) -> Any:
        try:
            return super().__getattr__(name)
        except AttributeError:
            value = getattr(self.__dict__["dense"], name)
            self.read = self.read or name
            return value  # the pass goes on, so that one pass finds every reader


def irreplaceable(network: nn.Module, image: Tensor, calls: Mapping[nn.Module, int]) -> dict[nn.Module, str]:
    """The layers that nothing can stand for, each with its reason; the network is left untouched.

    Args:
        image: 1 × …, for which the forward pass is known to succeed.
        calls: the layers to be replaced, none of them the network itself, and how often a forward pass calls each.

    Raises:
        NetworkError: the network cannot be copied, or its copy does not run; every replacement needs a copy.
    """
    reasons: dict[nn.Module, str] = {}
    if not calls:
        return reasons
    with evaluation(network):  # a closure that was copied with it still runs its own layers
        _rehearse(_Rehearsal(network, image, calls), reasons)
    return reasons


def _rehearse(rehearsal: "_Rehearsal", reasons: dict[nn.Module, str]) -> None:
    """Adds to ``reasons`` until the pass without the layers it names goes well."""
    while left := [layer for layer in rehearsal.calls if layer not in reasons]:
        found, same = rehearsal.without(left)
        if not found and same:
            return
        if not found:  # something went wrong that no stand-in noticed (a type is asked for): each on its own
            alone = {layer: rehearsal.without([layer]) for layer in left}
            found = {layer: own.get(layer, ELSEWHERE) for layer, (own, same) in alone.items() if own or not same}
        reasons |= found or dict.fromkeys(left, ELSEWHERE)


class _Rehearsal:
    """Forward passes of copies, each with the same random numbers, against that of an unchanged copy."""

    def __init__(self, network: nn.Module, image: Tensor, calls: Mapping[nn.Module, int]) -> None:
        self.network, self.image, self.calls = network, image, calls
        self.names = {layer: name for name, layer in network.named_modules()}
        try:
            self.expected = self._outputs(copy_network(network))
            self.reproducible = _close(self._outputs(copy_network(network)), self.expected)
        except Exception as error:
            raise NetworkError(
                f"no copy of the network can be made and run, which replacing its layers needs: "
                f"{type(error).__name__}: {error}"
            ) from error

    def without(self, layers: Iterable[nn.Module]) -> tuple[dict[nn.Module, str], bool]:
        """With stand-ins for ``layers``: what they noticed, by layer, and whether the network computed the same."""
        copied = copy_network(self.network)
        stand_ins = {layer: StandIn(copied.get_submodule(self.names[layer])) for layer in layers}
        of = {stand_in.__dict__["dense"]: stand_in for stand_in in stand_ins.values()}
        try:
            outputs = self._outputs(substitute(copied, of))
        except Exception:  # of any kind: the network's own code runs here; the calls it still owes say nothing
            return self._read(stand_ins), False
        elsewhere = {layer: ELSEWHERE for layer, s in stand_ins.items() if s.calls != self.calls[layer]}
        return elsewhere | self._read(stand_ins), not self.reproducible or _close(outputs, self.expected)

    def _read(self, stand_ins: Mapping[nn.Module, StandIn]) -> dict[nn.Module, str]:
        return {layer: read_outside(self.network, layer, s.read) for layer, s in stand_ins.items() if s.read}

    def _outputs(self, network: nn.Module) -> list[Tensor]:
        devices = [self.image.device] if self.image.is_cuda else []
        with torch.no_grad(), torch.random.fork_rng(devices=devices):
            return [leaf for leaf in tree_leaves(network(self.image.clone())) if isinstance(leaf, Tensor)]


def read_outside(network: nn.Module, layer: nn.Module, attribute: str) -> str:
    """Why a layer stays dense whose ``attribute`` somebody else reads."""
    fast = any(isinstance(m, nn.TransformerEncoderLayer) and layer in m.children() for m in network.modules())
    free = "torch.backends.mha.set_fastpath_enabled(False) in the factory frees it, and is wanted wherever it runs"
    remedy = f", by torch's fast path; {free}"
    return f"its {attribute} is read outside its own forward" + (remedy if fast else "")


def _close(outputs: list[Tensor], expected: list[Tensor]) -> bool:
    try:
        torch.testing.assert_close(outputs, expected, rtol=1e-3, atol=1e-5, equal_nan=True)
    except AssertionError:
        return False
    return True

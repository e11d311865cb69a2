"""One forward pass of one image, watched: which layers are called, on how many positions, and which weights are read
behind their module's back. The network is left as it was."""

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.modules.conv import _ConvNd
from torch.nn.modules.module import register_module_forward_hook, register_module_forward_pre_hook
from torch.overrides import TorchFunctionMode
from torch.utils._pytree import tree_leaves

from ..errors import NetworkError
from ..layers import Shape


@dataclass
class Trace:
    """What a forward pass of one image showed.

    Attributes:
        positions: by called 2-d convolution or linear layer, in the order of first calls: positions (pixels, rows) at
            its input and at its output, summed over its calls.
        calls: how often each of these layers is called.
        macs: multiply-accumulates of all convolutions and linear maps, those by function and the projections of
            attention included.
        macs_of: the same by the layer that ran, or whose weight another module used.
        read_outside: convolutions and linear layers whose weight or bias is used while they do not run, as
            ``module → "weight" | "bias"``: a replacement without that attribute would break the network.
        flattened: of linear layers whose rows are images of several pixels, flattened right before: (C, H, W).
    """

    positions: dict[nn.Module, tuple[int, int]] = field(default_factory=dict)
    calls: dict[nn.Module, int] = field(default_factory=dict)
    macs: int = 0
    macs_of: dict[nn.Module, int] = field(default_factory=dict)
    read_outside: dict[nn.Module, str] = field(default_factory=dict)
    flattened: dict[nn.Module, Shape] = field(default_factory=dict)


def trace(network: nn.Module, image: Tensor) -> Trace:
    """Runs ``network`` on ``image`` (1 × …) in evaluation mode.

    Modes, buffers and torch's generators are restored.

    Raises:
        NetworkError: the forward pass fails; names the exception and the shape.
    """
    watch = _Watch(network)
    generators = [image.device] if image.is_cuda else []
    try:
        with (
            torch.no_grad(),
            torch.random.fork_rng(devices=generators),
            evaluation(network),
            watch.hooks(),
            watch,
        ):
            network(image.clone())  # which it may change in place
    except Exception as error:
        first_line = str(error).strip().split("\n")[0]
        dtypes = {p.dtype for p in network.parameters() if image.is_floating_point()}
        others = sorted(map(str, dtypes - {image.dtype}))
        remedy = f"; it has weights in {' and '.join(others)}: convert it by .float() first" if others else ""
        raise NetworkError(
            f"the network's forward pass fails on an input of shape {tuple(image.shape)}: "
            f"{type(error).__name__}: {first_line}{remedy}"
        ) from error
    return watch.found


def _channels(layer: nn.Conv2d | nn.Linear) -> tuple[int, int]:
    if isinstance(layer, nn.Linear):
        return layer.in_features, layer.out_features
    return layer.in_channels, layer.out_channels


def _map_macs(inputs: Tensor, weight: Tensor, output: Tensor) -> int:
    return weight.numel() * (output.numel() // weight.shape[0])


def _transposed_macs(inputs: Tensor, weight: Tensor, output: Tensor) -> int:
    return weight.numel() * (inputs.numel() // weight.shape[0])


FLATTENS = ("flatten", "reshape", "view")

MACS: dict[Any, Callable[[Tensor, Tensor, Tensor], int]] = {
    F.linear: _map_macs,
    F.conv1d: _map_macs,
    F.conv2d: _map_macs,
    F.conv3d: _map_macs,
    F.conv_transpose1d: _transposed_macs,
    F.conv_transpose2d: _transposed_macs,
    F.conv_transpose3d: _transposed_macs,
}


class _Watch(TorchFunctionMode):
    """Sees every call of a torch function, and which modules are running, innermost last."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.found = Trace()
        self.running: list[nn.Module] = []
        self.flat: dict[int, tuple[Tensor, Shape]] = {}  # flattened images by address, held so that it stays theirs
        self.owners = {id(p): (m, name) for m in network.modules() for name, p in m.named_parameters(recurse=False)}

    @contextmanager
    def hooks(self) -> Iterator[None]:
        """Hooks on no module in particular: a module that carries hooks may take another path (transformers do)."""
        handles = [
            register_module_forward_pre_hook(self._enter),
            register_module_forward_hook(self._leave, with_kwargs=True),
        ]
        try:
            yield
        finally:
            for handle in handles:
                handle.remove()

    def _enter(self, module: nn.Module, args: tuple[Any, ...]) -> None:
        self.running.append(module)

    def _leave(self, module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any], output: Any) -> None:
        while self.running.pop() is not module:
            pass  # one that raised, and whose error its caller caught
        if isinstance(module, nn.Conv2d | nn.Linear) and isinstance(output, Tensor):
            inputs = args[0] if args else next(iter(kwargs.values()))
            channels_in, channels_out = _channels(module)
            self.found.calls[module] = self.found.calls.get(module, 0) + 1
            before_in, before_out = self.found.positions.get(module, (0, 0))
            self.found.positions[module] = (
                before_in + inputs.numel() // channels_in,
                before_out + output.numel() // channels_out,
            )
            _, shape = self.flat.get(inputs.data_ptr(), (None, None))
            if isinstance(module, nn.Linear) and shape and inputs.shape[1:] == (math.prod(shape),):
                self.found.flattened[module] = shape

    def _read(self, module: nn.Module, name: str) -> None:
        """Notes that ``module.name`` is used, unless by itself."""
        if isinstance(module, _ConvNd | nn.Linear) and module not in self.running:
            self.found.read_outside.setdefault(module, name)

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        # A property (next(network.parameters()).device) is no use of a weight.
        if getattr(func, "__name__", "") != "__get__":
            for value in tree_leaves((args, kwargs)):
                if isinstance(value, Tensor) and id(value) in self.owners:
                    self._read(*self.owners[id(value)])
        output = func(*args, **kwargs)
        if getattr(func, "__name__", "") in FLATTENS and args and args[0].ndim == 4 and output.ndim == 2:
            channels, height, width = args[0].shape[1:]
            if height * width > 1 and output.shape[1] == channels * height * width:
                self.flat[output.data_ptr()] = output, (channels, height, width)
        if func in MACS:
            inputs, weight = (*args, *(kwargs[name] for name in ("input", "weight")[len(args) :]))[:2]
            self._count(MACS[func](inputs, weight, output), weight)
        elif func is F.multi_head_attention_forward:
            query, key, value = args[:3]  # projected to the query's width, and the query's rows once more at the end
            self._count(query.shape[-1] * (2 * query.numel() + key.numel() + value.numel()), None)
        return output

    def _count(self, macs: int, weight: Tensor | None) -> None:
        self.found.macs += macs
        module = self.running[-1]
        if not isinstance(module, _ConvNd | nn.Linear) and id(weight) in self.owners:
            module = self.owners[id(weight)][0]
        self.found.macs_of[module] = self.found.macs_of.get(module, 0) + macs


@contextmanager
def evaluation(network: nn.Module) -> Iterator[None]:
    """Evaluation mode; afterwards every module's mode and buffers are as before."""
    modules = list(network.modules())
    modes = [module.training for module in modules]
    buffers = [(module._buffers, dict(module._buffers)) for module in modules]
    values = [(b, b.clone()) for _, held in buffers for b in held.values() if b is not None]
    network.eval()
    try:
        yield
    finally:
        for module, mode in zip(modules, modes, strict=True):
            module.training = mode
        for holder, held in buffers:
            holder.clear()
            holder.update(held)
        for buffer, value in values:
            buffer.copy_(value)

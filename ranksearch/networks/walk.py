"""The walk over a network: which layers can be compressed, which stay dense and why, and what everything costs."""

from collections import defaultdict
from collections.abc import Sequence
from difflib import get_close_matches
from fnmatch import fnmatchcase

import torch
from torch import Tensor, nn
from torch.nn.modules.conv import _ConvNd, _ConvTransposeNd
from torch.nn.parameter import is_lazy
from torch.nn.utils.parametrize import is_parametrized

from ..errors import NetworkError, RankError
from ..layers import LayerSpec, LeftDense, NetworkSpec, Svd, Tucker2, layer_params
from .flattened import FlattenedKernel, kernel_shapes
from .stand_in import irreplaceable, read_outside
from .trace import Trace, trace

NORMS = (nn.modules.batchnorm._NormBase, nn.LayerNorm, nn.GroupNorm, nn.RMSNorm)
DTYPES = (torch.float32, torch.float64)  # a progressive kernel is composed in at least float32


def walk(
    network: nn.Module, example: Tensor, include: Sequence[str] = ("*",), exclude: Sequence[str] = ()
) -> NetworkSpec:
    """Takes a network apart into compressible layers and layers left dense, each with its reason.

    The network's modes, buffers and torch's generators are left untouched.

    Args:
        network: any module that takes one tensor.
        example: a batch of inputs, of which one is used, on the network's device.
        include, exclude: globs (``*``, ``?``, ``[…]``) over the dotted names of modules with weights.

    Raises:
        NetworkError: the forward pass fails, the network cannot be copied, or no layer can be compressed.
        RankError: a glob that matches nothing.
    """
    require_weights(network)
    names: dict[nn.Module, list[str]] = defaultdict(list)
    for name, module in network.named_modules(remove_duplicate=False):
        names[module].append(name)
    for module in [module for module in names if isinstance(module, FlattenedKernel)]:
        names[module.kernel] += names[module]  # globs mean it by the name of the linear layer, too
    holders = [module for module in names if _holds_weights(module, names[module][0])]
    _require_matches("include", include, [name for module in holders for name in names[module]])
    _require_matches("exclude", exclude, [name for module in holders for name in names[module]])

    image = example[:1]
    traced = trace(network, image)
    ties = _ties(names)
    specs: dict[nn.Module, LayerSpec] = {}
    reasons: dict[nn.Module, str] = {}
    for module in holders:
        name = names[module][0]
        reason = (
            _unselected(names[module], include, exclude)
            or _unfit(module)
            or ties.get(module)
            or _untraceable(module, name, network, traced)
        )
        if reason:
            reasons[module] = reason
            continue
        spec = _layer_spec(module, name, *traced.positions[module])
        smallest = Tucker2(1, 1) if spec.format == "tucker2" else Svd(1)
        if layer_params(spec, smallest, "pivoted") < spec.params:
            specs[module] = spec
        else:
            reasons[module] = "it has no ranks to choose: rank 1 is already all of it"
    reasons |= irreplaceable(network, image, {module: traced.calls[module] for module in specs})
    left_dense = [
        LeftDense(
            name=names[module][0],
            type=type(module).__name__,
            reason=reasons[module],
            params=sum(p.numel() for p in _own_parameters(module)),
            macs=traced.macs_of.get(module, 0),
        )
        for module in holders
        if module in reasons
    ]
    layers = tuple(specs[module] for module in traced.positions if module in specs and module not in reasons)
    if not layers:
        listed = "; ".join(f"{left.name or 'itself'}: {left.reason}" for left in left_dense[:8]) or "no weights at all"
        raise NetworkError(f"the network has no compressible layer ({listed}{' …' if len(left_dense) > 8 else ''})")
    return NetworkSpec(
        layers=layers,
        left_dense=tuple(left_dense),
        params=sum(p.numel() for p in network.parameters()),
        macs=traced.macs,
        input_shape=tuple(image.shape[1:]),
        flattened=kernel_shapes(network),
    )


def require_weights(network: nn.Module) -> None:
    """Raises :class:`NetworkError` where a lazy layer has no weights yet, or does not know its channels: a lazy
    convolution never learns them from a file."""
    unknown = any(isinstance(module, _ConvNd) and not module.in_channels for module in network.modules())
    if unknown or any(is_lazy(parameter) for parameter in network.parameters()):
        raise NetworkError(
            "the network has lazy layers that have seen no input yet: run one batch through it first, in its factory"
        )


def _own_parameters(module: nn.Module) -> list[nn.Parameter]:
    own = list(module.parameters(recurse=False))
    return own + (list(module.parametrizations.parameters()) if is_parametrized(module) else [])  # type: ignore[union-attr]


def _holds_weights(module: nn.Module, name: str) -> bool:
    """Whether a module holds a weight matrix of its own: norms, biases and scales per channel do not count."""
    if isinstance(module, NORMS) or "parametrizations" in name.split("."):
        return False
    return any(sum(size > 1 for size in p.shape) >= 2 for p in _own_parameters(module)) or isinstance(
        module, _ConvNd | nn.Linear
    )


def _require_matches(key: str, globs: Sequence[str], names: Sequence[str]) -> None:
    for glob in globs:
        if names and not any(fnmatchcase(name, glob) for name in names):
            near = get_close_matches(glob, names, n=3, cutoff=0.3) or names[:3]
            raise RankError(f"{key}: {glob!r} matches no layer with weights; near it: {', '.join(near)}")


def _ties(names: dict[nn.Module, list[str]]) -> dict[nn.Module, str]:
    """Reasons of the modules that share a parameter with another module."""
    owners: dict[nn.Parameter, list[nn.Module]] = defaultdict(list)
    for module in names:
        for parameter in module.parameters(recurse=False):
            owners[parameter].append(module)
    reasons: dict[nn.Module, str] = {}
    for module in names:
        for attribute, parameter in module.named_parameters(recurse=False):
            for other in owners[parameter]:
                if other is not module:
                    reasons.setdefault(module, f"{attribute} tied with {names[other][0]!r}")
    return reasons


def _unselected(names: Sequence[str], include: Sequence[str], exclude: Sequence[str]) -> str | None:
    if any(fnmatchcase(name, glob) for name in names for glob in exclude):
        return "excluded by the study"
    if not any(fnmatchcase(name, glob) for name in names for glob in include):
        return "not included by the study"
    return None


def _unfit(module: nn.Module) -> str | None:
    """Why a replacement could not stand for the module, from its structure alone."""
    kind = type(module).__name__
    if isinstance(module, _ConvTransposeNd):
        return "transposed convolutions are not compressed"
    if not isinstance(module, nn.Conv2d | nn.Linear):
        return f"{kind} is not compressed"
    if is_parametrized(module) or "weight" not in module._parameters:
        return "its weight is parametrised: computed from other parameters"
    base = nn.Conv2d if isinstance(module, nn.Conv2d) else nn.Linear
    own = [method for method in ("forward", "_conv_forward") if hasattr(base, method)]
    if any(getattr(type(module), method) is not getattr(base, method) or method in vars(module) for method in own):
        return f"{kind} has a forward of its own"
    if module._forward_hooks or module._forward_pre_hooks or module._backward_hooks or module._backward_pre_hooks:
        return "it has hooks of its own, which a replacement would lose"
    if (dtype := module.weight.dtype) not in DTYPES:
        remedy = "; convert the network to float32 first" if dtype.is_floating_point else ", not a floating-point type"
        return f"its weight is {str(dtype).removeprefix('torch.')}{remedy}"
    if isinstance(module, nn.Conv2d) and module.groups > 1:
        depthwise = module.groups == module.in_channels
        return f"{'depthwise' if depthwise else 'grouped'} convolution (groups = {module.groups})"
    return None


def _untraceable(module: nn.Module, name: str, network: nn.Module, traced: Trace) -> str | None:
    if not name:
        return "it is the network itself: put it into an nn.Sequential"
    if module in traced.read_outside:
        return read_outside(network, module, traced.read_outside[module])
    if module not in traced.positions:
        return "it is never called in the forward pass"
    return None


def _layer_spec(module: nn.Module, name: str, positions_in: int, positions_out: int) -> LayerSpec:
    if isinstance(module, nn.Conv2d):
        return LayerSpec(
            name=name,
            kind="conv2d",
            channels_out=module.out_channels,
            channels_in=module.in_channels,
            kernel=module.kernel_size,  # type: ignore[arg-type]
            bias=module.bias is not None,
            stride=module.stride,  # type: ignore[arg-type]
            positions_in=positions_in,
            positions_out=positions_out,
        )
    assert isinstance(module, nn.Linear)
    return LayerSpec(
        name=name,
        kind="linear",
        channels_out=module.out_features,
        channels_in=module.in_features,
        bias=module.bias is not None,
        positions_in=positions_in,
        positions_out=positions_out,
    )

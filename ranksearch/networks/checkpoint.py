"""Weights from a file into a network, and the fingerprint of a network's weights. No code in a file is ever run."""

import errno
import hashlib
import re
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
from safetensors import SafetensorError
from torch import Tensor, nn
from torch.nn.parameter import is_lazy

from ..errors import WeightsError, describe
from ..whole_file import whole_file


def _torch_file(path: Path) -> Any:
    return torch.load(path, map_location="cpu", weights_only=True)


FORMATS: dict[str, Callable[[Path], Any]] = {
    ".pt": _torch_file,
    ".pth": _torch_file,
    ".th": _torch_file,
    ".safetensors": safetensors.torch.load_file,
}
WRAPPERS = ("state_dict", "model_state_dict", "model", "net")  # keys under which training scripts keep the state dict
PREFIXES = ("module.", "_orig_mod.")  # of DataParallel and of torch.compile; they stack
NOWHERE = torch.tensor(False)
SHOWN = 3  # names in a message before "and n more"


def load_weights(network: nn.Module, path: str | Path) -> None:
    """Copies the weights in ``path`` into ``network``, each into the dtype the network has.

    Reads a bare state dict or one under any of :data:`WRAPPERS`, without the prefixes
    ``module.`` and ``_orig_mod.``. Counters of batch norm that an old file lacks start at zero; of tied
    weights one name is enough.

    Raises:
        WeightsError: the file is missing, corrupt or holds pickled code; keys are missing or unexpected;
            a shape differs; a tensor holds NaN or infinity where the network's own was finite.
    """
    path = Path(path)
    expected = network.state_dict(keep_vars=True)
    state = _without_prefixes(_unwrapped(_read(path), path), expected)
    for name in expected.keys() - state.keys():
        twins = [other for other in state if other in expected and expected[other] is expected[name]]
        if twins:
            state[name] = state[twins[0]]
        elif not isinstance(expected[name], Tensor):  # a module's extra state: not of the weights
            state[name] = expected[name]
    known = {name: tensor for name, tensor in expected.items() if isinstance(tensor, Tensor) and not is_lazy(tensor)}
    masks = {name: ~tensor.isfinite() for name, tensor in known.items()}
    infinite = {name: mask for name, mask in masks.items() if mask.any()}  # a mask of −∞ is the network's own
    try:
        network.load_state_dict(state)
    except Exception as failure:  # a state dict of another network, or a module's own loading hook
        differences = _differences(expected, state) or [describe(failure)]
        raise WeightsError(
            f"{path} does not fit {type(network).__name__}: {'; '.join(differences)}. "
            "Is it the checkpoint of this model, with this number of classes?"
        ) from failure
    for name, tensor in network.state_dict().items():
        if isinstance(tensor, Tensor) and (~tensor.isfinite() & ~infinite.get(name, NOWHERE)).any():
            raise WeightsError(f"{path}: {name} holds NaN or infinity; use a checkpoint from before training diverged")


def save_weights(network: nn.Module, path: Path, metadata: Mapping[str, str] | None = None) -> None:
    """Writes the state of ``network`` as safetensors, whole or not at all."""
    tensors: dict[int, tuple[str, Tensor]] = {}  # one name of each: who loads them knows which are one
    for name, tensor in network.state_dict(keep_vars=True).items():
        if isinstance(tensor, Tensor):
            tensors.setdefault(id(tensor), (name, tensor.detach().cpu().contiguous().clone()))
    save_tensors(dict(tensors.values()), path, metadata)


def save_tensors(tensors: Mapping[str, Tensor], path: Path, metadata: Mapping[str, str] | None = None) -> None:
    """Writes tensors by name as safetensors, whole or not at all.

    Raises:
        OSError: the folder cannot be made, or the file not be written.
    """
    try:
        with whole_file(path) as part:
            safetensors.torch.save_file(dict(tensors), part, dict(metadata or {}))
    except SafetensorError as error:  # how it reports a full disk
        raise OSError(errno.EIO, str(error), str(path)) from error


def weights_fingerprint(network: nn.Module) -> str:
    """Sixteen hexadecimal digits over names, dtypes, shapes and bytes of every parameter and buffer that is saved."""
    digest = hashlib.sha256()
    for name, tensor in sorted(network.state_dict().items()):
        if isinstance(tensor, Tensor):
            digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}\n".encode())
            digest.update(tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()[:16]


def _read(path: Path) -> Any:
    """The contents of a weights file, whatever their structure."""
    if path.suffix not in FORMATS:
        raise WeightsError(f"{path}: weights are read from {', '.join(FORMATS)}, not from {path.suffix or 'no suffix'}")
    if not path.is_file():
        raise WeightsError(f"{path}: there is no such weights file")
    try:
        return FORMATS[path.suffix](path)
    except Exception as failure:  # torch raises half a dozen types for a damaged file, KeyError among them
        if code := re.search(r"GLOBAL ([\w.]+)", str(failure)):
            raise WeightsError(
                f"{path} holds pickled code ({code[1]}), which is never run: "
                "save the plain weights again with torch.save(model.state_dict(), PATH)"
            ) from failure
        if "TorchScript" in str(failure):
            raise WeightsError(
                f"{path} is a TorchScript program: save the plain weights with torch.save(model.state_dict(), PATH)"
            ) from failure
        raise WeightsError(
            f"{path} ({path.stat().st_size:,} bytes) is truncated, corrupt or not a checkpoint: copy it again"
        ) from failure


def _unwrapped(content: Any, path: Path) -> dict[str, Any]:
    """The state dict inside ``content``."""
    while isinstance(content, Mapping):
        inner = [content[key] for key in WRAPPERS if isinstance(content.get(key), Mapping)]
        if not inner:
            break
        content = inner[0]
    if not isinstance(content, Mapping) or not any(isinstance(value, Tensor) for value in content.values()):
        found = f"keys {some(map(str, content))}" if isinstance(content, Mapping) else type(content).__name__
        raise WeightsError(
            f"{path} holds no state dict, neither bare nor under {', '.join(WRAPPERS)}, but {found or 'nothing'}"
        )
    return dict(content)


def _without_prefixes(state: dict[str, Any], expected: Mapping[str, Any]) -> dict[str, Any]:
    """``state`` without wrappers' prefixes, unless the network itself has them."""
    for _ in range(8):  # deeper stacks than anybody makes
        for prefix in PREFIXES:
            if all(name.startswith(prefix) for name in state) and not all(name.startswith(prefix) for name in expected):
                state = {name.removeprefix(prefix): value for name, value in state.items()}
    return state


def _differences(expected: Mapping[str, Any], state: Mapping[str, Any]) -> list[str]:
    """Clauses that name missing keys, unexpected keys and wrong shapes, the first few of each."""
    missing = [name for name in expected if name not in state and not name.endswith("num_batches_tracked")]
    unexpected = [name for name in state if name not in expected]
    shapes = [
        f"{name} is {tuple(state[name].shape)} in the file and {tuple(tensor.shape)} in the network"
        for name, tensor in expected.items()
        if isinstance(tensor, Tensor) and isinstance(state.get(name), Tensor) and state[name].shape != tensor.shape
    ]
    named = {"missing keys": missing, "unexpected keys": unexpected, "wrong shapes": shapes}
    return [f"{law}: {some(names)}" for law, names in named.items() if names]


def some(names: Iterable[str], shown: int = SHOWN) -> str:
    """The first names, and how many more there are.

    >>> some("abcde"), some("abc")
    ('a, b, c and 2 more', 'a, b, c')
    """
    names = list(names)
    return ", ".join(names[:shown]) + (f" and {len(names) - shown} more" if len(names) > shown else "")

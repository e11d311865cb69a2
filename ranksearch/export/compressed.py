"""Compressed checkpoints: safetensors with the rank file in the metadata, loaded without pickle.

model = MyNetwork()                                       # the user's own class, dense
model = ranksearch.load(model, "compressed.safetensors")  # its layers replaced, its weights in place
"""

from collections.abc import Collection
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from torch import nn

from ..decomposition import skeleton
from ..errors import NetworkError, RankError, WeightsError
from ..layers import Dense
from ..networks import load_weights, save_weights, take_as_kernels
from ..networks.substitution import substitute
from ..records import RankFile

METADATA_KEY = "ranksearch"


def save_compressed(network: nn.Module, ranks: RankFile, path: Path) -> Path:
    """Writes a collapsed network's state and its rank file.

    Args:
        network: deployed layers in place, as :func:`~ranksearch.progressive.collapse` returns it, or
            :func:`~.layer_forms.in_forms` of it.
        ranks: what the network was collapsed from; names, ranks and forms must be the network's own.
    """
    save_weights(network, path, {METADATA_KEY: ranks.to_text()})
    return path


def read_ranks(path: Path) -> RankFile:
    """The rank file inside a compressed checkpoint.

    Raises:
        WeightsError: missing, corrupt, or not written by this package.
    """
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
    except FileNotFoundError:
        raise WeightsError(f"{path}: no such compressed checkpoint") from None
    except (SafetensorError, OSError) as error:
        raise WeightsError(
            f"{path}: not a readable safetensors file, as `export --to safetensors` and `finetune` write ({error})"
        ) from None
    if METADATA_KEY not in metadata:
        raise WeightsError(f"{path}: a safetensors file without ranks; was it written by `ranksearch export`?")
    return RankFile.from_text(metadata[METADATA_KEY], source=str(path))


def load_compressed(network: nn.Module, path: Path | str) -> nn.Module:
    """The compressed network on the user's own model class.

    Args:
        network: a dense network of the class that was compressed; left as it is.
        path: what ``ranksearch export --to safetensors`` or ``finetune`` wrote.

    Returns:
        A copy in evaluation mode with its layers replaced and all weights loaded.

    Raises:
        RankError: the checkpoint has ranks for layers that the network does not have, or not of that size.
        WeightsError: missing or corrupt, or the remaining state does not fit.
        NetworkError: layers of a transformer encoder, and torch's fast path is on.
    """
    path = Path(path)
    compressed = replace_layers(network, read_ranks(path), str(path))
    load_weights(compressed, path)
    return compressed.eval()


def replace_layers(network: nn.Module, ranks: RankFile, source: str) -> nn.Module:
    """A copy of ``network`` with every layer that has ranks replaced by its deployed form, weights not yet set."""
    try:
        compressed = take_as_kernels(network, ranks.flattened)
    except RankError as error:
        raise RankError(f"{source}: {error}") from None
    modules = dict(compressed.named_modules(remove_duplicate=False))
    replaced: dict[nn.Module, nn.Module] = {}
    for name, chosen in ranks.configuration.layers.items():
        if name not in modules:
            raise RankError(f"{source}: {type(network).__name__} has no layer {name!r}")
        dense = modules[name]
        if not isinstance(chosen, Dense):
            if not isinstance(dense, nn.Conv2d | nn.Linear):
                raise RankError(f"{source}: layer {name!r} is a {type(dense).__name__}, not a convolution or Linear")
            try:
                replaced[dense] = skeleton(dense, chosen, ranks.layer_forms.get(name, ranks.form))
            except RankError as error:
                raise RankError(f"{source}: layer {name!r}: {error}") from None
    _require_no_fast_path(compressed, replaced, source)
    return substitute(compressed, replaced)


def _require_no_fast_path(network: nn.Module, replaced: Collection[nn.Module], source: str) -> None:
    """Raises :class:`NetworkError` where torch would read the weights of a replaced layer by itself."""
    encoders = [m for m in network.modules() if isinstance(m, nn.TransformerEncoderLayer) and _fast(m)]
    if torch.backends.mha.get_fastpath_enabled() and any(c in replaced for e in encoders for c in e.children()):
        raise NetworkError(
            f"{source}: layers of an nn.TransformerEncoderLayer are compressed, whose weights torch's fast path reads "
            "by itself: call torch.backends.mha.set_fastpath_enabled(False) first, in every program that runs it"
        )


def _fast(encoder: nn.TransformerEncoderLayer) -> bool:
    """Whether torch would take its fast path, as far as the layer decides."""
    attention = encoder.self_attn
    return bool(
        attention.batch_first
        and attention.in_proj_bias is not None
        and attention._qkv_same_embed_dim
        and encoder.activation_relu_or_gelu
        and encoder.norm1.eps == encoder.norm2.eps
        and attention.num_heads % 2 == 0
    )


def stored_bytes(network: nn.Module) -> int:
    """Bytes of parameters and buffers, index vectors included; shared tensors count once."""
    tensors: dict[int, torch.Tensor] = {
        t.data_ptr(): t for t in [*network.parameters(), *network.buffers()] if t.numel()
    }
    return sum(t.numel() * t.element_size() for t in tensors.values())

"""Nested bases in a file: safetensors, no code in it, written whole or not at all."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
from safetensors import SafetensorError
from torch import Tensor

from ..errors import RankError
from ..layers import ErrorTable, LayerSpec, NetworkSpec
from ..networks import save_tensors
from .bases import NestedBases

BASES_VERSION = 3  # of what the tensors mean and how they are made; older files are made again
BLOCKS, OPTIONAL = ("basis_out", "coefficients"), ("basis_in", "unwhiten_out", "unwhiten_in")


def write_bases(bases: Mapping[str, NestedBases], path: Path) -> None:
    """Writes the bases and tables of all layers; several processes may.

    Raises:
        OSError: the folder cannot be made, or the file not be written.
    """
    save_tensors({f"{name}/{key}": t for name, of in bases.items() for key, t in _tensors(of).items()}, path)


def read_bases(spec: NetworkSpec, path: Path, device: torch.device | str = "cpu") -> dict[str, NestedBases] | None:
    """The bases that :func:`write_bases` wrote, on ``device``; None where there is no file, or no whole one."""
    try:
        tensors = safetensors.torch.load_file(path)
        return {layer.name: _bases(layer, tensors, torch.device(device)) for layer in spec.layers}
    except (OSError, SafetensorError, KeyError, ValueError, RankError):
        return None


def _tensors(bases: NestedBases) -> dict[str, Tensor]:
    table = bases.table
    numbers = torch.tensor([table.total, table.in_loss], dtype=torch.float64)
    spectra = {f"spectrum{mode}": torch.tensor(spectrum) for mode, spectrum in enumerate(table.spectra)}
    blocks = {key: block for key in (*BLOCKS, *OPTIONAL) if (block := getattr(bases, key)) is not None}
    whole = blocks | spectra | {"distortion": torch.tensor(table.distortion), "numbers": numbers}
    return {key: t.detach().cpu().contiguous() for key, t in whole.items()}


def _bases(spec: LayerSpec, tensors: Mapping[str, Tensor], device: torch.device) -> NestedBases:
    def tensor(key: str) -> Tensor:
        return tensors[f"{spec.name}/{key}"]

    total, in_loss = tensor("numbers").tolist()
    spectra = tuple(tensor(f"spectrum{mode}").numpy() for mode in range(len(spec.modes)))
    table = ErrorTable(tensor("distortion").numpy(), total, spectra, bool(in_loss))
    blocks: dict[str, Any] = {k: None for k in OPTIONAL if f"{spec.name}/{k}" not in tensors}
    blocks |= {k: tensor(k).to(device, copy=True) for k in (*BLOCKS, *OPTIONAL) if k not in blocks}
    return NestedBases(spec, table, **blocks)

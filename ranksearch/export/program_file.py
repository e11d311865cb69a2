"""``torch.export`` programs (``.pt2``): the network for PyTorch alone, without its class, its ranks beside the graph.

Loading one can run code that the file holds (``torch.export.load`` unpickles, and evaluates expressions): read only
those that you or someone you trust wrote. Its ranks are read without loading it.
"""

import zipfile
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor, nn

from ..errors import ExportError, describe
from ..records import RankFile
from .tracing import traced

RANKS = "ranksearch.json"


def save_program(network: nn.Module, example: Tensor, path: Path, ranks: RankFile) -> Path:
    """Writes ``network`` in evaluation mode as a float32 program, (batch, …) → (batch, …); ``path`` ends in ``.pt2``.

    Args:
        network: deployed; left as it is.
        example: an input as the network takes it, (n, …).
        ranks: what the network was collapsed from.

    Raises:
        ExportError: as :func:`~.tracing.traced`.
    """
    program = traced(network, example)
    path.parent.mkdir(parents=True, exist_ok=True)
    torch.export.save(program, path, extra_files={RANKS: ranks.to_text()})
    return path


def load_program(path: Path) -> Callable[[Tensor], Tensor]:
    """The program as a module on the CPU; only of a file that you trust.

    Raises:
        ExportError: missing or not a program.
    """
    require_program(path).close()
    try:
        return torch.export.load(path).module()
    except Exception as error:  # whatever a deserialiser can throw
        raise ExportError(f"{path}: not a readable torch.export program ({describe(error)})") from error


def read_program_ranks(path: Path) -> RankFile:
    """The rank file inside a program, without loading it.

    Raises:
        ExportError: missing, not a program, or one without ranks.
        RankError: ranks of another format.
    """
    with require_program(path) as archive:
        names = [name for name in archive.namelist() if name.endswith(f"/extra/{RANKS}")]
        if not names:
            raise ExportError(f"{path}: a program without ranks; was it written by `ranksearch export`?")
        return RankFile.from_text(archive.read(names[0]).decode(), source=str(path))


def require_program(path: Path) -> zipfile.ZipFile:
    """The archive that a program is; raises :class:`ExportError` where it is none."""
    try:
        return zipfile.ZipFile(path)
    except (OSError, zipfile.BadZipFile) as error:
        raise ExportError(f"{path}: not a readable torch.export program ({describe(error)})") from None

"""The state of an interrupted fine-tuning: written whole or not at all, read without pickle, refused by another run."""

import pickle
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec
import torch
from torch import nn

from ..errors import StudyChangedError, WeightsError
from ..records import Milestone
from ..whole_file import whole_file


@dataclass
class Progress:
    """How far a fine-tuning has come.

    Attributes:
        step: steps done.
        seconds: of training, over all its processes.
        milestones: those passed.
        loss_sum, losses: of the steps since the last milestone.
        peak_memory: in MiB, the largest so far.
        trainable_params: number of weights that learn.
        earlier: of the seconds, those of processes before this one.
    """

    step: int = 0
    seconds: float = 0.0
    milestones: list[Milestone] = field(default_factory=list)
    loss_sum: float = 0.0
    losses: int = 0
    peak_memory: float = 0.0
    trainable_params: int = 0
    earlier: float = 0.0

    def pass_milestone(self, batch: int, decay: float, accuracy: float | None) -> None:
        """Books a milestone here, with the mean loss since the last one."""
        mean = self.loss_sum / self.losses
        self.milestones.append(Milestone(self.step * batch, decay, mean, accuracy))
        self.loss_sum, self.losses = 0.0, 0


def save_state(
    path: Path, run: dict[str, str], progress: Progress, network: nn.Module, optimizer: torch.optim.Optimizer
) -> None:
    """Writes a checkpoint, whole or not at all.

    Args:
        run: what makes this run this run; compared on resuming.
    """
    state = {
        "run": run,
        "progress": msgspec.to_builtins(progress),
        "network": network.state_dict(),
        "optimizer": optimizer.state_dict(),
    }
    with whole_file(path) as part:
        torch.save(state, part)


def load_state(path: Path, run: dict[str, str], network: nn.Module, optimizer: torch.optim.Optimizer) -> Progress:
    """Reads a checkpoint into network and optimiser.

    Raises:
        WeightsError: corrupt, or not a checkpoint of a fine-tuning.
        StudyChangedError: of a run with other settings, which are listed.
    """
    try:
        state: dict[str, Any] = torch.load(path, weights_only=True, map_location="cpu")
        found, progress = state["run"], msgspec.convert(state["progress"], Progress)
    except (
        RuntimeError,
        EOFError,
        OSError,
        KeyError,
        TypeError,
        pickle.UnpicklingError,
        msgspec.MsgspecError,
    ) as error:
        reason = str(error).partition("\n")[0]
        raise WeightsError(f"{path}: not a readable training checkpoint ({reason}); delete it to start anew") from None
    changed = [f"{key} was {found.get(key)}, is {value}" for key, value in run.items() if found.get(key) != value]
    if changed:
        raise StudyChangedError(f"{path}: written by another run: {'; '.join(changed)}; delete it to start anew")
    network.load_state_dict(state["network"])
    optimizer.load_state_dict(state["optimizer"])
    return progress

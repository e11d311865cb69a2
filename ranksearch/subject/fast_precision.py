"""The precision in which this machine trains a network fastest, found once and remembered."""

import logging
from importlib.metadata import version

import torch
from torch import nn

from ..networks import Examples, weights_fingerprint
from ..progressive import CLASSIFICATION, Precision, Task, probe_precision
from ..whole_file import whole_file
from .cache import cache_file
from .device import processor_name

log = logging.getLogger(__name__)


def fast_precision(network: nn.Module, train: Examples, batch: int, task: Task, device: torch.device) -> Precision:
    """The precision that an earlier session found fastest here, or now finds: one machine shall not waver between two
    from one session to the next. With a loss of the user's own, which has no fingerprint, it is found anew."""
    inputs, targets = next(train.batches(batch, seed=0, device=device))
    here = (str(device), processor_name(), torch.get_num_threads(), version("torch"))
    of = (weights_fingerprint(network), list(inputs.shape), here)
    path = cache_file("precision", of, ".txt")
    keep = task.loss is CLASSIFICATION.loss
    if keep and path.exists():
        return Precision.parse(path.read_text())
    chosen = probe_precision(network, inputs, targets, task)
    if keep:
        try:
            with whole_file(path) as part:
                part.write_text(chosen.name)
        except OSError as error:
            log.warning("the precision is not kept for the next time, %s cannot be written: %s", path, error)
    return chosen

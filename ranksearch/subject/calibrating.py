"""The bases of a study's network: calibrated once on its training data, afterwards read from the cache."""

import logging
import time
from collections.abc import Sequence

import torch
from torch import nn

from ..decomposition import NestedBases, calibrate, network_bases, read_bases, write_bases
from ..decomposition.bases_file import BASES_VERSION
from ..decomposition.calibration import IMAGES, UserLoss
from ..layers import Basis, NetworkSpec
from ..networks import Examples
from .cache import cache_file

log = logging.getLogger(__name__)


def calibrated_bases(
    network: nn.Module,
    spec: NetworkSpec,
    train: Examples,
    basis: Basis,
    *,
    known_by: Sequence[object],
    loss: UserLoss | None = None,
    device: torch.device | str = "cpu",
) -> dict[str, NestedBases]:
    """Nested bases and error tables of all layers; says in one line what they cost, or where they were read.

    A loss of the user's own has no fingerprint, so what was calibrated with it is not kept.

    Args:
        known_by: what tells the network from any other, JSON-like; with layers, training images and basis it names
            the file in the cache.
        loss: the user's own; None for classification.
    """
    if basis == "weights":
        return network_bases(network, spec)
    began = time.perf_counter()
    keep = loss is None or basis == "activations"
    path = cache_file("bases", (known_by, spec.layers, train.fingerprint, basis, IMAGES, BASES_VERSION))
    if keep and (found := read_bases(spec, path, device)):
        log.info("basis %s: read from %s in %.1f s", basis, path, time.perf_counter() - began)
        return found
    covariances = calibrate(network, spec, train, basis, loss=loss, device=device)
    calibrated = time.perf_counter() - began
    bases = network_bases(network, spec, covariances)
    seconds, images = time.perf_counter() - began, f"{min(IMAGES, len(train)):,}"
    log.info("basis %s: %s training images, %.1f s; bases, %.1f s", basis, images, calibrated, seconds - calibrated)
    if keep:
        try:
            write_bases(bases, path)
        except OSError as error:
            log.warning("the bases are not kept for the next time, %s cannot be written: %s", path, error)
    return bases

"""``weights = "train"``: the dense network trained by the study file's recipe, once, and cached."""

import logging
from pathlib import Path

import torch
from torch import nn

from ..networks import Splits, require_weights, save_weights, weights_fingerprint
from ..networks.copying import copy_network, frozen, unfrozen
from ..progressive import CLASSIFICATION, fine_tune, predict, probe_precision, require_labels
from ..records import NO_DECAY
from ..study import StudyFile
from .cache import cache_file

log = logging.getLogger(__name__)

SAMPLED = 8  # search images by whose outputs an untrained network is known


def train_dense(network: nn.Module, splits: Splits, study: StudyFile, device: torch.device) -> Path:
    """The trained weights, from the cache where the same network, recipe and data met before."""
    recipe = study.network.training.recipe(len(splits.train))
    require_weights(network)
    few = predict(network, splits.search.first(SAMPLED))
    require_labels(CLASSIFICATION, splits.classes, few)
    computes = [f"{value:.3g}" for value in few.flatten().tolist()]  # equal weights serve other forwards, too
    network_is = (study.network.model, study.network.arguments, weights_fingerprint(network), computes)
    stay = frozen(unfrozen(network))
    training_is = (recipe, splits.train.fingerprint, study.data.augment, study.search.seed, *stay)
    path = cache_file("dense", (*network_is, *training_is))
    if not path.exists():
        log.info("training the dense network once: %s images; it will lie in %s", f"{recipe.images:,}", path)
        trained = copy_network(network).to(device)
        inputs, targets = next(splits.train.batches(recipe.batch, seed=0, device=device))
        precision = probe_precision(trained, inputs, targets, CLASSIFICATION)
        path.parent.mkdir(parents=True, exist_ok=True)
        checkpoint = path.with_suffix(f".{precision.name.replace('/', '-')}.checkpoint")
        fine_tune(
            trained,
            splits.train,
            recipe,
            NO_DECAY,
            task=CLASSIFICATION,
            teacher=None,
            seed=study.search.seed,
            precision=precision,
            device=device,
            checkpoint=checkpoint,
        )
        save_weights(trained, path)
        checkpoint.unlink(missing_ok=True)
    return path

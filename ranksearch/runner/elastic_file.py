"""A study's elastic adapter in its file: safetensors beside the study's networks, read on any of its machines."""

import hashlib
from collections.abc import Mapping
from pathlib import Path

from torch import nn

from ..decomposition import NestedBases
from ..errors import NonFiniteError, StudyChangedError, WeightsError
from ..layers import RankConfiguration, full_ranks, project
from ..networks import load_weights, save_weights
from ..progressive import Elastic, attach, make_elastic, predict, set_decay
from ..records import NO_DECAY, ElasticRecord
from .subject import Subject, same_outputs

SAMPLED = 16  # search images on which a slice must compute what it did when it was written


def write_elastic(trained: nn.Module, path: Path) -> str:
    """Writes a network with elastic layers; returns the file's digest."""
    save_weights(trained, path)
    return file_digest(path)


def read_elastic(
    subject: Subject, bases: Mapping[str, NestedBases], record: ElasticRecord, path: Path
) -> Elastic:  # fmt: skip
    """The elastic adapter that ``record`` is of.

    Raises:
        WeightsError: the file is not here, or not the one that was booked.
        StudyChangedError: this machine's bases are others: a slice computes something else than it did.
    """
    if not path.exists():
        raise WeightsError(
            f"{path}: the study's elastic adapter is not here; copy it from the machine that ran `ranksearch search`"
        )
    if (found := file_digest(path)) != record.digest:
        raise WeightsError(
            f"{path}: not the elastic adapter that the study was made with (digest {found}, booked {record.digest}); "
            "copy it again from the machine that ran `ranksearch search`"
        )
    trained = make_elastic(subject.network, bases)
    load_weights(trained, path)
    elastic = Elastic.of(trained)
    if not same_outputs(record.outputs, sample_outputs(subject, elastic)):
        raise StudyChangedError(
            f"{path}: the elastic adapter computes something else here: it was trained on bases that this machine did "
            f"not find (trained on: {record.machine.processor if record.machine else 'another'}); copy the bases from "
            "that machine's cache folder (RANKSEARCH_CACHE), or work there"
        )
    return elastic


def sample_outputs(subject: Subject, elastic: Elastic) -> tuple[float, ...]:
    """Some outputs of the slice with half of every rank on the first search images, in float32."""
    halves = {s.name: project(s, tuple(-(-rank // 2) for rank in full_ranks(s)), "plain") for s in subject.spec.layers}
    network = attach(elastic.network, elastic.bases, RankConfiguration(halves))
    set_decay(network, NO_DECAY, 0.0)
    images = subject.splits.search.subset(range(min(SAMPLED, len(subject.splits.search))))
    outputs = predict(network, images, device=subject.device).flatten(1)[:, :10]
    if not outputs.isfinite().all():
        raise NonFiniteError("a slice of the elastic adapter gives infinity or NaN; lower elastic.lr")
    return tuple(outputs.flatten().tolist())


def file_digest(path: Path) -> str:
    """Sixteen hexadecimal digits over the file's bytes."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()[:16]

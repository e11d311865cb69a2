"""A study's elastic adapter in its file: safetensors among the study's artifacts, read on any of its machines."""

from collections.abc import Mapping

from torch import nn

from ..decomposition import NestedBases
from ..errors import NonFiniteError, StudyChangedError
from ..layers import RankConfiguration, full_ranks, project
from ..networks import load_weights, save_weights
from ..progressive import Elastic, attach, make_elastic, predict, set_decay
from ..records import NO_DECAY, ElasticRecord
from ..subject.subject import Subject, same_outputs
from .artifacts import Artifacts, file_digest

ADAPTER = "elastic.safetensors"
SAMPLED = 16  # search images on which a slice must compute what it did when it was written


def write_elastic(trained: nn.Module, artifacts: Artifacts) -> str:
    """Stores a network with elastic layers; returns the file's digest."""
    return file_digest(artifacts.put(ADAPTER, lambda path: save_weights(trained, path)))


def read_elastic(
    subject: Subject, bases: Mapping[str, NestedBases], record: ElasticRecord, artifacts: Artifacts
) -> Elastic:  # fmt: skip
    """The elastic adapter that ``record`` is of.

    Raises:
        WeightsError: the file cannot be had from here, or it is not the one that was booked.
        StudyChangedError: a slice computes something else here than it did.
    """
    assert record.recipe is not None  # it was trained
    path = artifacts.require(ADAPTER, record.digest, "the study's elastic adapter")
    trained = make_elastic(subject.network, bases)
    load_weights(trained, path)
    elastic = Elastic.of(trained, record.recipe.augment)
    if not same_outputs(record.outputs, sample_outputs(subject, elastic)):
        made = record.machine.processor if record.machine else "another"
        raise StudyChangedError(
            f"{path}: the elastic adapter computes something else here than on the machine that trained it ({made}); "
            "are the versions of torch the same?"
        )
    return elastic


def sample_outputs(subject: Subject, elastic: Elastic) -> tuple[float, ...]:
    """Some outputs of the slice with half of every rank on the first search images, in float32."""
    halves = {s.name: project(s, tuple(-(-rank // 2) for rank in full_ranks(s)), "plain") for s in subject.spec.layers}
    network = attach(elastic.network, elastic.bases, RankConfiguration(halves))
    set_decay(network, NO_DECAY, 0.0)
    images = subject.splits.search.first(SAMPLED)
    outputs = predict(network, images, device=subject.device).reshape(len(images), -1)[:, :10]
    if not outputs.isfinite().all():
        raise NonFiniteError("a slice of the elastic adapter gives infinity or NaN; lower elastic.lr")
    return tuple(outputs.flatten().tolist())

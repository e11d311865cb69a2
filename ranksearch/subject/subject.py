"""The subject of a study on this machine: the dense network, its data, and what every trial is compared with."""

import math
import platform
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from importlib.metadata import version
from pathlib import Path

import numpy as np
import torch
from torch import nn

from ..decomposition import NestedBases
from ..errors import DataError, DenseAccuracyError, NetworkError
from ..layers import Basis, Flattened, NetworkSpec
from ..networks import (
    Splits,
    concatenate,
    flattened_layers,
    load_weights,
    take_as_kernels,
    walk,
    weights_fingerprint,
)
from ..networks.copying import copy_network, frozen, unfrozen
from ..networks.determinism import isolated_generators, seed_generators
from ..progressive import CLASSIFICATION, Precision, Task, Teacher, not_finite, predict, require_labels
from ..progressive.precision import FLOAT32
from ..records import Machine, Measurement
from ..study import StudyFile
from ..study.ranges import default
from .calibrating import calibrated_bases
from .dense_training import train_dense
from .device import processor_name, torch_device
from .fast_precision import fast_precision
from .stage import Stage
from .study_network import study_network, study_splits
from .threads import heed_grant

SAMPLED = 64  # search images whose dense outputs must agree when a study is resumed
FINAL = 5  # times as many images for batch norm where the last word is measured


@dataclass(frozen=True)
class Subject:
    """Everything a trial needs besides its own configuration.

    Attributes:
        network: dense, in evaluation mode, on ``device``; never changed.
        spec: its layers and costs.
        splits: train, search, test.
        task: loss, score, and distance from the dense outputs.
        dense: the dense network's measurement on the search split.
        dense_outputs: its outputs there, (images, …), float32 on the CPU.
        weights: fingerprint of the dense weights.
        reestimate: training images for batch-norm statistics while searching.
        sample_outputs: some of the dense network's outputs on a few search images, float32: what tells two networks
            of equal weights apart.
        sample_loss: the task's loss on those images: what tells two losses apart.
        trained: the file of its weights, where it was trained for the study.
    """

    network: nn.Module
    spec: NetworkSpec
    splits: Splits
    task: Task
    precision: Precision
    device: torch.device
    dense: Measurement
    dense_outputs: torch.Tensor
    weights: str
    reestimate: int
    sample_outputs: tuple[float, ...]
    sample_loss: float
    trained: Path | None = None

    @property
    def machine(self) -> Machine:
        return Machine(
            device=torch.cuda.get_device_name(self.device) if self.device.type == "cuda" else self.device.type,
            processor=processor_name(),
            threads=torch.get_num_threads(),
            precision=self.precision.name,
            versions={p: version(p) for p in ("ranksearch", "torch", "optuna")} | {"python": platform.python_version()},
        )

    @property
    def frozen(self) -> tuple[str, ...]:
        """Parameters that their owner froze: none of them learns, in no trial."""
        return frozen(self.network)

    @cached_property
    def teacher(self) -> Teacher:
        """The dense network as every training on this machine distils from it."""
        return Teacher(self.network, self.precision, self.device)

    @cached_property
    def search_stage(self) -> "Stage":
        """Every decision: train on *train*, measure on *search*."""
        return Stage(
            "search", self.splits.train, self.splits.search, self.dense_outputs, self.reestimate, self.precision
        )

    @cached_property
    def final_stage(self) -> "Stage":
        """After selection: train on train + search, as the literature does, and measure on *test*; once, so that more
        images for batch norm cost nothing that matters, and leave less to chance (reports/resnet32-cifar10)."""
        if self.splits.test is None:
            raise DataError(
                "this is measured on the test split, and the data has none: give ranksearch.search(…, test=…), or the "
                "data source its own (PREFIX_test.npz, say); the study stays what it is"
            )
        everything = concatenate(self.splits.train, self.splits.search)
        precision = Precision(channels_last=self.precision.channels_last)
        outputs = predict(self.network, self.splits.test, precision=precision, device=self.device)
        return Stage("test", everything, self.splits.test, outputs, FINAL * self.reestimate, precision)

    def bases(self, basis: Basis) -> dict[str, NestedBases]:
        """Nested bases and error tables of all layers, calibrated on *train*, or read from the cache; seconds."""
        return calibrated_bases(
            self.network,
            self.spec,
            self.splits.train,
            basis,
            known_by=(self.weights, [f"{value:.3g}" for value in self.sample_outputs]),
            loss=None if self.task.loss is CLASSIFICATION.loss else self.task.loss,
            device=self.device,
        )


def study_subject(
    study: StudyFile,
    *,
    device: str | None = None,
    precision: str | None = None,
    train: bool = True,
    trained: Path | None = None,
) -> Subject:
    """Builds network and data as the study file says, and measures the dense network, on the cores that are granted.

    Args:
        device: ``cpu``, ``cuda`` or ``mps``; by default the best there is.
        precision: the name of one that an earlier session of the study chose; probed otherwise.
        train: whether a network to be trained is trained, and one near chance refused; to look at layers, neither.
        trained: weights of a network to be trained, as an earlier session did; no two machines find the same.

    Raises:
        DenseAccuracyError: near chance, or below ``expect_accuracy``.
        NetworkError, WeightsError, DataError, StudyFileError: what the study file names does not fit together.
    """
    heed_grant()
    chosen = torch_device(device or study.search.device)
    splits = study_splits(study)
    network = study_network(study, splits)
    file = trained
    if study.network.weights not in ("train", "none"):
        file = study.resolve(study.network.weights)
    elif study.network.weights == "train" and train and trained is None:
        file = trained = train_dense(network, splits, study, chosen)
    if file is not None:
        load_weights(network, file)
    made = make_subject(
        network,
        splits,
        include=study.ranks.include,
        exclude=study.ranks.exclude,
        flattened=study.ranks.flattened,
        device=chosen,
        precision=precision if train else FLOAT32.name,
        batch=default(study.training.batch),
        reestimate=study.data.reestimate,
        expect_accuracy=study.network.expect_accuracy,
        check=train,
    )
    return replace(made, trained=trained)


def make_subject(
    network: nn.Module,
    splits: Splits,
    *,
    task: Task = CLASSIFICATION,
    include: tuple[str, ...] = ("*",),
    exclude: tuple[str, ...] = (),
    flattened: Flattened = "linear",
    device: torch.device,
    precision: str | None = None,
    batch: int = 128,
    reestimate: int = 2000,
    expect_accuracy: float | None = None,
    check: bool = True,
) -> Subject:
    """Walks the network, chooses the precision, by steps of ``batch`` images, and measures the dense network on the
    search split."""
    network = unfrozen(copy_network(network))  # the user's own stays where and as it is
    network = network.to(device).eval()
    example = splits.train.example().to(device)
    spec = walk(network, example, include, exclude)
    if flattened == "kernel":
        network = take_as_kernels(network, flattened_layers(network, spec, example)).eval()
        spec = walk(network, example, include, exclude)
    require_labels(task, splits.classes, predict(network, splits.train.first(1), device=device))
    chosen = Precision.parse(precision) if precision else fast_precision(network, splits.train, batch, task, device)
    outputs = predict(network, splits.search, precision=chosen, device=device)
    if len(bad := not_finite(outputs)):
        raise NetworkError(
            f"the dense network's output is not finite on {len(bad)} of {len(outputs):,} search images, the first is "
            f"number {int(bad[0])}: nothing could be compared with it; mend the network, or leave such images out"
        )
    task.require(outputs, splits.search.targets)
    accuracy = task.score(outputs, splits.search.targets)
    sampled = splits.search.first(SAMPLED)
    sample = predict(network, sampled, device=device)
    with isolated_generators(device), torch.no_grad():
        seed_generators(device, 0, 0)
        targets = next(sampled.batches(len(sampled), device=device))[1]
        sample_loss = float(task.loss(sample.to(device), targets))
    if check:
        counted = task.score is CLASSIFICATION.score  # of the user's own metric, nobody knows what chance is
        check_dense(accuracy, splits.classes if counted else None, len(splits.search), expect_accuracy)
    return Subject(
        network=network,
        spec=spec,
        splits=splits,
        task=task,
        precision=chosen,
        device=device,
        dense=Measurement(accuracy, 0.0, "search", len(splits.search)),
        dense_outputs=outputs,
        weights=weights_fingerprint(network),
        reestimate=reestimate,
        sample_outputs=tuple(sample.reshape(len(sample), -1)[:, :10].flatten().tolist()),
        sample_loss=sample_loss,
    )


def same_outputs(earlier: Sequence[float], now: Sequence[float]) -> bool:
    """Whether two samples of outputs are of one network, up to what other hardware rounds."""
    old, new = np.array(earlier), np.array(now)
    return old.shape == new.shape and np.allclose(old, new, rtol=1e-2, atol=1e-2 * float(np.abs(old).max(initial=1.0)))


def check_dense(accuracy: float, classes: int | None, images: int, expected: float | None = None) -> None:
    """Refuses a dense network that would make the search pointless.

    It must reach ``expected``, and lie three binomial standard deviations above chance, 1 / ``classes``: a
    network that guesses gets there in about one of 700 splits of ``images``, whatever their number. A larger
    share of one class lifts a constant answer above chance; ``expected`` is for what guards against that.

    Raises:
        DenseAccuracyError: says how far off it is, and the usual causes.
    """
    causes = "the usual causes: [data] normalize differs from training, label order, or the wrong checkpoint"
    if expected is not None and accuracy < expected:
        raise DenseAccuracyError(
            f"the dense network reaches {accuracy:.2%} on the search split, below network.expect_accuracy = "
            f"{expected:.2%}; {causes}"
        )
    chance = 1 / classes if classes else 0.0
    least = min(1.0, chance + 3 * math.sqrt(chance * (1 - chance) / images))
    if accuracy < least:
        raise DenseAccuracyError(
            f"the dense network reaches {accuracy:.2%} on the search split, near chance ({chance:.2%} for {classes} "
            f'classes; at least {least:.2%} of {images:,} images are needed); {causes}; weights = "none" serves '
            "`layers` only"
        )

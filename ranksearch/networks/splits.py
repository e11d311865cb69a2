"""Train, search and test, kept apart; and the sentences that say so (the protocol of every report)."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..errors import DataError
from .augmentation import NO_AUGMENTATION, Augmentation
from .conversion import examples_of
from .examples import Examples
from .normalization import Normalization
from .resident import Resident
from .sources import SOURCES, load_source
from .stratified import stratified


@dataclass(frozen=True)
class Splits:
    """The three parts of the data.

    Attributes:
        train: for fine-tuning, calibration and batch norm.
        search: for every decision.
        test: for the last word only; None where there is none.
        classes: number of classes; None where targets are not class labels.
        protocol: sentences on where the parts come from and what they share.
    """

    train: Examples
    search: Examples
    test: Examples | None
    classes: int | None
    protocol: tuple[str, ...]

    @property
    def fingerprint(self) -> str:
        """Sixteen hexadecimal digits over the contents, order and normalisation of train and search."""
        parts = f"{self.train.fingerprint} {self.search.fingerprint}"
        return hashlib.sha256(parts.encode()).hexdigest()[:16]


def make_splits(
    source: str,
    *,
    search: int,
    normalize: Mapping[str, Any] | None = None,
    augment: Sequence[str] = (),
    seed: int = 0,
    base: Path = Path(),
    size: int | None = None,
    weights_seen: bool = False,
    workers: int = 0,
) -> Splits:
    """The splits of a study file: the search split is taken out of the training data, stratified by class.

    Args:
        source: see :func:`load_source`, with ``base`` and ``size``.
        search: number of examples, ≥ 1.
        normalize: ``{mean, std}`` per channel.
        augment: ``crop:N``, ``flip``; for training batches.
        seed: of the split.
        weights_seen: whether the weights come from a file, whose training may have used the search split.
        workers: processes that read ahead what is not held in memory.

    Raises:
        DataError: data that cannot be read, a split larger than the data, a preparation that does not fit.
    """
    whole, test = load_source(source, base, size)
    whole, test = whole.read_ahead(workers), test and test.read_ahead(workers)
    classes = whole.classes
    try:
        rest, chosen = stratified(whole.targets, search, seed, classes=classes is not None)
    except DataError as failure:
        raise DataError(f"data.search = {search}: {failure}") from failure
    how = "stratified by class" if classes is not None else "at random"
    protocol = [
        f"train: {len(rest):,} images",
        f"search: {len(chosen):,} images taken out of the {len(whole):,} training images ({how}, seed {seed})",
    ]
    if weights_seen:
        protocol.append(
            f"a checkpoint trained on all {len(whole):,} training images has seen the search split: "
            "accuracy on it is optimistic, test accuracy is what counts"
        )
    kind = source.partition(":")[0]
    if kind in SOURCES and SOURCES[kind].note:
        protocol.append(SOURCES[kind].note)
    return _checked(whole.subset(rest), whole.subset(chosen), test, classes, protocol, normalize, augment)


def given_splits(
    train: Any,
    search: Any,
    test: Any = None,
    *,
    normalize: Mapping[str, Any] | None = None,
    augment: Sequence[str] = (),
    weights_seen: bool = False,
    labels: bool = True,
) -> Splits:
    """The splits of a notebook: each part is what :func:`examples_of` takes.

    Args:
        labels: whether whole numbers from 0 are class labels.

    Raises:
        DataError: as :func:`make_splits`.
    """
    parts = [None if part is None else examples_of(part) for part in (train, search, test)]
    ours, theirs, last = parts
    if ours is None or theirs is None:
        raise DataError("both a training and a search split are needed; test may be None")
    protocol = [f"train: {len(ours):,} images, given", f"search: {len(theirs):,} images, given"]
    if weights_seen:
        protocol.append("where the given weights were trained on the search split, accuracy on it is optimistic")
    return _checked(ours, theirs, last, ours.classes if labels else None, protocol, normalize, augment)


def _checked(
    train: Examples,
    search: Examples,
    test: Examples | None,
    classes: int | None,
    protocol: list[str],
    normalize: Mapping[str, Any] | None,
    augment: Sequence[str],
) -> Splits:
    """Prepared splits, after looking at labels and at exact copies across them."""
    normalization, augmentation = Normalization.of(normalize) if normalize else None, Augmentation.of(augment)
    train = train.prepared(normalization, augmentation)
    others = {"search": search, "test": test}
    prepared = {name: part.prepared(normalization, NO_AUGMENTATION) for name, part in others.items() if part}
    for name, part in prepared.items():
        if part.example().shape != train.example().shape:
            shapes = tuple(train.example().shape[1:]), tuple(part.example().shape[1:])
            raise DataError(f"training inputs are {shapes[0]}, those of {name} {shapes[1]}: all must have one shape")
        if isinstance(train, Resident) and isinstance(part, Resident) and train.normalization != part.normalization:
            raise DataError(f"train is normalised by {train.normalization}, {name} by {part.normalization}: use one")
        if classes is not None and (part.classes is None or part.classes > classes):
            raise DataError(
                f"{name} has labels up to {(part.classes or 0) - 1}, the training data 0 to {classes - 1}: "
                "the label order must be the same"
            )
    protocol.append(
        f"test: {len(test):,} images, seen by finetune and evaluate only"
        if test
        else "there was no test split when the study was made"
    )
    protocol += _copies({"train": train, **prepared})
    return Splits(train, prepared["search"], prepared.get("test"), classes, tuple(protocol))


def _copies(parts: Mapping[str, Examples]) -> list[str]:
    """Sentences on images that stand in two splits, found by digest."""
    digests = {name: part.digests for name, part in parts.items()}
    streamed = [name for name, found in digests.items() if found is None]
    if streamed:
        return [f"{' and '.join(streamed)}: streamed, so exact copies across the splits were not looked for"]
    sentences = []
    earlier: set[bytes] = set()
    for name, found in digests.items():
        assert found is not None
        if count := sum(digest in earlier for digest in found):
            sentences.append(f"{name}: {count:,} of its images are exact copies of images in an earlier split")
        earlier |= set(found)
    return sentences or ["no image stands in two splits (compared by digest)"]

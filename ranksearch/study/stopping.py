"""Early stopping of trials of several objectives, which Optuna refuses (optuna issue 3450): our own rules.

A rule sees accuracies of collapsed networks only (λ = 0), each compared with the others' at the same milestone, and
never at either end of the range of compression: there a trial has nobody to be compared with, and the front would
lose its ends.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from ..records import Milestone, TrialRecord

NEIGHBOURS = 6  # trials nearest in compression, half of them on either side, that a newcomer is compared with
MARGIN = 0.02  # accuracy that a look at 1,000 images cannot tell apart


@dataclass(frozen=True)
class Curve:
    """One trial while it trains: log2 of its compression ratio, and accuracy by training images seen."""

    log2_ratio: float
    accuracy: Mapping[int, float]

    @classmethod
    def so_far(cls, compression_ratio: float, milestones: Sequence[Milestone]) -> "Curve":
        """Of a trial that has passed these milestones."""
        seen = {m.images: m.accuracy for m in milestones if m.accuracy is not None}
        return cls(float(np.log2(compression_ratio)), seen)

    @classmethod
    def of(cls, record: TrialRecord) -> "Curve":
        """Of a trial that has ended: the milestones beyond which it went on, not the one where it was stopped."""
        passed = record.milestones[:-1] if record.stopped else record.milestones
        return cls.so_far(record.counted.compression_ratio, passed)


#: whether (the newcomer's log2 ratio and accuracy, the others' as arrays, at the same milestone) is to be stopped
Rule = Callable[[float, float, np.ndarray, np.ndarray], bool]


def below_neighbours(ratio: float, accuracy: float, ratios: np.ndarray, accuracies: np.ndarray) -> bool:
    """Whether it lies more than :data:`MARGIN` below the line through its neighbours in compression."""
    half = NEIGHBOURS // 2
    larger, smaller = np.flatnonzero(ratios < ratio), np.flatnonzero(ratios >= ratio)
    if min(len(larger), len(smaller)) < half:
        return False
    near = np.concatenate([larger[np.argsort(-ratios[larger])[:half]], smaller[np.argsort(ratios[smaller])[:half]]])
    design = np.stack([np.ones(len(near)), ratios[near] - ratio], 1)
    expected = np.linalg.lstsq(design, accuracies[near], rcond=None)[0][0]
    return bool(accuracy < expected - MARGIN)


def dominated(ratio: float, accuracy: float, ratios: np.ndarray, accuracies: np.ndarray) -> bool:
    """Whether a network no larger was better by more than :data:`MARGIN` after as many images."""
    return bool(((ratios >= ratio) & (accuracies > accuracy + MARGIN)).any())


STOPPING: dict[str, Rule] = {
    "none": lambda *_: False,
    "neighbours": below_neighbours,
    "domination": dominated,
}


def is_hopeless(rule: str, own: Curve, others: Sequence[Curve]) -> bool:
    """Whether a trial is to be stopped at its last milestone.

    Args:
        rule: a name of :data:`STOPPING`.
        own: of the trial so far; no accuracy yet: never.
        others: of trials that went on beyond that milestone, finished or stopped later.
    """
    if not own.accuracy:
        return False
    images = max(own.accuracy)
    met = [(c.log2_ratio, c.accuracy[images]) for c in others if images in c.accuracy]
    ratios, accuracies = np.array(met).reshape(-1, 2).T
    return STOPPING[rule](own.log2_ratio, own.accuracy[images], ratios, accuracies)

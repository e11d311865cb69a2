"""What a network is trained and judged by: classification, or the user's own loss and metric."""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal

import torch.nn.functional as F
from torch import Tensor

from ..errors import MetricError, NetworkError, StudyFileError, describe

PART = 2**22  # numbers of a split's outputs that are compared at once

Loss = Callable[[Tensor, Tensor], Tensor]
Metric = Callable[[Tensor, Tensor], float]


@dataclass(frozen=True)
class Task:
    """Four functions of a network's outputs, float32, first dimension images.

    Attributes:
        loss: (outputs, targets) of a batch → scalar; learned from.
        score: (outputs, targets) of a whole split → [0, 1], larger is better: the study's accuracy.
        distance: (outputs, dense outputs) of a whole split → ≥ 0: how far the network has moved.
        distil: (outputs, the teacher's outputs, temperature) of a batch → scalar; learned from.
        require: (the dense network's outputs, targets) of a whole split; raises :class:`MetricError` where its metric
            lies beyond the range that it is scaled from.
        said: what accuracy means here, a sentence for reports; empty where it is top-1.
    """

    loss: Loss
    score: Metric
    distance: Metric
    distil: Callable[[Tensor, Tensor, float], Tensor]
    require: Callable[[Tensor, Tensor], None] = lambda outputs, targets: None
    said: str = ""

    @classmethod
    def of(
        cls,
        loss: Loss | None = None,
        metric: Metric | None = None,
        direction: Literal["maximize", "minimize"] = "maximize",
        range: tuple[float, float] = (0.0, 1.0),
    ) -> "Task":
        """The user's own loss, metric, or both; what is left out stays as in classification.

        Args:
            loss: (outputs, targets) of a batch → scalar. With it, distillation and distance are the mean squared
                output error, since outputs need not be logits.
            metric: (outputs, targets) of a whole split → number.
            direction: ``"maximize"`` or ``"minimize"``: which end of ``range`` is good.
            range: the metric's worst and best values in either order; mapped onto [0, 1]. A compressed network's value
                beyond it counts as its edge; the dense network's must lie within.

        Raises:
            StudyFileError: an unknown direction, an empty or infinite range, or what is no function.

        >>> import torch
        >>> mae = Task.of(F.l1_loss, lambda y, t: float((y - t).abs().mean()), "minimize", (0.0, 2.0))
        >>> mae.score(torch.ones(3), torch.zeros(3))
        0.5
        >>> mae.said
        "Accuracy is the study's own metric, minimised, scaled: 0 % is 2, 100 % is 0."
        """
        for name, given in (("loss", loss), ("metric", metric)):
            if given is not None and not callable(given):
                raise StudyFileError(f"{name} must be a function of (outputs, targets), got {given!r}")
        if direction not in ("maximize", "minimize"):
            raise StudyFileError(f"direction = {direction!r} is unknown; allowed: maximize, minimize")
        low, high = sorted(range)
        if not (math.isfinite(low) and math.isfinite(high) and low < high):
            raise StudyFileError(f"range = {range} must be two different finite numbers, the metric's ends")
        task = CLASSIFICATION
        if metric is not None:
            worst, best = (low, high) if direction == "maximize" else (high, low)
            how = f"{direction[:-3]}ised, scaled: 0 % is {worst:g}, 100 % is {best:g}"
            task = replace(
                task,
                score=_scaled(metric, direction, low, high),
                require=_within(metric, low, high),
                said=f"Accuracy is the study's own metric, {how}.",
            )
        if loss is not None:
            task = replace(task, loss=loss, distance=_squared_error, distil=_squared_output_error)
        return task


def require_labels(task: Task, classes: int | None, outputs: Tensor) -> None:
    """Raises :class:`NetworkError` where the cross-entropy is asked of a label that has no output."""
    width = outputs.shape[1] if task.loss is CLASSIFICATION.loss and outputs.ndim == 2 else math.inf
    if classes and classes > width:
        raise NetworkError(
            f"labels run to {classes - 1}, and the network has {width} outputs: they are wanted for labels from 0 on, "
            f"here to {width - 1}"
        )


def _value(metric: Metric, outputs: Tensor, targets: Tensor) -> float:
    try:
        found = metric(outputs, targets)
    except Exception as failure:
        shapes = f"outputs {tuple(outputs.shape)}, targets {tuple(targets.shape)}"
        raise MetricError(f"the metric failed on {shapes}: {describe(failure)}") from failure
    try:
        return float(found)
    except (TypeError, ValueError, RuntimeError):
        what = f"a tensor of shape {tuple(found.shape)}" if isinstance(found, Tensor) else type(found).__name__
        raise MetricError(f"the metric must return a number for the whole split, got {what}") from None


def _scaled(metric: Metric, direction: str, low: float, high: float) -> Metric:
    def score(outputs: Tensor, targets: Tensor) -> float:
        value = _value(metric, outputs, targets)
        if math.isnan(value):
            raise MetricError("the metric is NaN on finite outputs: it must be a number for any network")
        share = (min(max(value, low), high) - low) / (high - low)
        return share if direction == "maximize" else 1.0 - share

    return score


def _within(metric: Metric, low: float, high: float) -> Callable[[Tensor, Tensor], None]:
    def require(outputs: Tensor, targets: Tensor) -> None:
        if not low <= (value := _value(metric, outputs, targets)) <= high:
            raise MetricError(
                f"the metric of the dense network is {value:g}, beyond its range of {low:g} to {high:g}, so that "
                "better and worse networks could not be told apart: give its worst and best value, metric_range=(…, …)"
            )

    return require


def _squared_output_error(outputs: Tensor, teacher: Tensor, temperature: float) -> Tensor:
    return F.mse_loss(outputs, teacher)


def _squared_error(outputs: Tensor, dense: Tensor) -> float:
    return float(F.mse_loss(outputs, dense))


def _top1(outputs: Tensor, targets: Tensor) -> float:
    """Share of images (or positions: classes are dimension 1) whose largest logit is the label's.

    Raises:
        MetricError: outputs that are not logits of the labels.
    """
    labels = not (targets.is_floating_point() or targets.is_complex())
    if not labels or outputs.ndim < 2 or outputs.shape[1] < 2 or targets.shape != outputs[:, 0].shape:
        raise MetricError(
            f"accuracy wants an integer label for each row of two logits or more, got targets {tuple(targets.shape)} "
            f"of {targets.dtype} beside outputs {tuple(outputs.shape)}: say by metric=… what is to be judged"
        )
    return float((outputs.argmax(1) == targets).double().mean())


def _divergence(outputs: Tensor, dense: Tensor) -> float:
    """Mean KL(softmax(dense) ‖ softmax(outputs)) in nats; ≥ 0. In float64, a part of the split at a time."""
    images = max(1, PART // max(1, dense[:1].numel()))
    parts = zip(outputs.split(images), dense.split(images), strict=True)
    return max(0.0, sum(len(few) * float(_kl(few.double(), truth.double())) for few, truth in parts) / len(outputs))


def _kl(outputs: Tensor, dense: Tensor) -> Tensor:
    logs, truth = F.log_softmax(outputs, 1), F.log_softmax(dense, 1)
    return F.kl_div(logs, truth, reduction="none", log_target=True).sum(1).mean()


def _softened(outputs: Tensor, teacher: Tensor, temperature: float) -> Tensor:
    """T²·KL between logits softened by T (Hinton, Vinyals & Dean 2015): T² keeps the gradient's size."""
    return temperature**2 * _kl(outputs / temperature, teacher / temperature)


CLASSIFICATION = Task(loss=F.cross_entropy, score=_top1, distance=_divergence, distil=_softened)

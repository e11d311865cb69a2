"""Scores lie in [0, 1], distances are zero at the dense outputs, distillation pulls towards the teacher."""

import math

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st

from ranksearch.errors import MetricError, StudyFileError
from ranksearch.progressive import CLASSIFICATION, Task

OWN = Task.of(F.l1_loss, lambda outputs, targets: float((outputs - targets).abs().mean()), "minimize", (0.0, 4.0))
seeds = st.integers(0, 9999)


def logits(seed: int, *shape: int) -> torch.Tensor:
    return 3 * torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


@given(seeds)
def test_divergence_is_zero_only_at_the_dense_outputs(seed: int) -> None:
    dense, other = logits(seed, 20, 5), logits(seed + 1, 20, 5)
    for task in (CLASSIFICATION, OWN):
        assert task.distance(dense, dense) == 0.0
        assert task.distance(other, dense) > 0.0
    assert CLASSIFICATION.distance(dense + 2.0, dense) == pytest.approx(0.0, abs=1e-6)  # logits have no origin
    expected = F.kl_div(F.log_softmax(other, 1), F.softmax(dense, 1), reduction="batchmean")
    assert CLASSIFICATION.distance(other, dense) == pytest.approx(float(expected), rel=1e-4)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("ranksearch.progressive.task.PART", 3 * dense[0].numel())
        assert CLASSIFICATION.distance(other, dense) == pytest.approx(float(expected), rel=1e-4)
    assert OWN.distance(other, dense) == pytest.approx(float((other - dense).square().mean()), rel=1e-5)


@given(seeds, st.floats(1, 8))
def test_distillation_has_its_minimum_at_the_teacher(seed: int, temperature: float) -> None:
    for task in (CLASSIFICATION, OWN):
        student, teacher = logits(seed, 6, 4).requires_grad_(), logits(seed + 1, 6, 4)
        loss = task.distil(student, teacher, temperature)
        (gradient,) = torch.autograd.grad(loss, student)
        with torch.no_grad():
            assert task.distil(student - 0.01 * gradient, teacher, temperature) < loss
            assert float(task.distil(teacher, teacher, temperature)) == pytest.approx(0.0, abs=1e-5)


def test_distillation_is_hintons() -> None:
    student, teacher, t = logits(0, 8, 5), logits(1, 8, 5), 4.0
    expected = t**2 * F.kl_div(F.log_softmax(student / t, 1), F.softmax(teacher / t, 1), reduction="batchmean")
    torch.testing.assert_close(CLASSIFICATION.distil(student, teacher, t), expected)


def test_accuracy_of_images_and_of_positions() -> None:
    outputs = torch.tensor([[2.0, 1.0], [0.0, 1.0], [3.0, 0.0]])
    assert CLASSIFICATION.score(outputs, torch.tensor([0, 1, 1])) == pytest.approx(2 / 3)
    maps = torch.zeros(1, 2, 2, 2)
    maps[0, 1, 0] = 1.0
    assert CLASSIFICATION.score(maps, torch.tensor([[[1, 1], [1, 0]]])) == pytest.approx(3 / 4)


@given(
    st.floats(-100, 100),
    st.floats(-10, 10),
    st.floats(0.1, 10),
    st.sampled_from(["maximize", "minimize"]),
    st.booleans(),
)
def test_own_metric_is_mapped_onto_the_unit_interval(
    value: float, low: float, width: float, direction: str, swapped: bool
) -> None:
    ends = (low + width, low) if swapped else (low, low + width)
    score = Task.of(None, lambda o, t: float(t), direction, ends).score  # type: ignore[arg-type]
    assert 0.0 <= score(torch.zeros(1), torch.tensor(value)) <= 1.0
    worst, best = (low, low + width) if direction == "maximize" else (low + width, low)
    assert score(torch.zeros(1), torch.tensor(worst, dtype=torch.float64)) == pytest.approx(0.0, abs=1e-6)
    assert score(torch.zeros(1), torch.tensor(best, dtype=torch.float64)) == pytest.approx(1.0, abs=1e-6)


def test_a_metric_alone_leaves_the_rest_classification() -> None:
    task = Task.of(metric=lambda o, t: 0.25)
    assert task.score(torch.zeros(1), torch.zeros(1)) == 0.25
    assert (task.loss, task.distance, task.distil) == (
        CLASSIFICATION.loss, CLASSIFICATION.distance, CLASSIFICATION.distil,
    )  # fmt: skip
    assert Task.of() == CLASSIFICATION


@pytest.mark.parametrize("ends", [(1.0, 1.0), (0.0, math.inf), (math.nan, 1.0)])
def test_refuses_a_range_without_ends(ends: tuple[float, float]) -> None:
    with pytest.raises(StudyFileError, match="two different finite numbers"):
        Task.of(metric=lambda o, t: 0.0, range=ends)


def test_refuses_an_unknown_direction_and_a_metric_that_is_nan() -> None:
    with pytest.raises(StudyFileError, match="allowed: maximize, minimize"):
        Task.of(direction="up")  # type: ignore[arg-type]
    with pytest.raises(MetricError, match="metric is NaN"):
        Task.of(metric=lambda o, t: math.nan).score(torch.zeros(1), torch.zeros(1))


@pytest.mark.parametrize(
    ("outputs", "targets"),
    [((6, 1), torch.rand(6, 1)), ((6, 1), torch.zeros(6, 1, dtype=torch.int64)), ((6, 3), torch.rand(6)),
     ((6, 3), torch.zeros(6, 1, dtype=torch.int64)), ((6,), torch.zeros(6, dtype=torch.int64))],
)  # fmt: skip
def test_accuracy_of_what_are_no_logits_is_refused(outputs: tuple[int, ...], targets: torch.Tensor) -> None:
    with pytest.raises(MetricError, match=r"accuracy wants an integer label for each row.*metric="):
        Task.of(F.mse_loss).score(torch.zeros(outputs), targets)

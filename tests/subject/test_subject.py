"""Which dense networks are taken, and which refused."""

import random
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ranksearch.errors import DenseAccuracyError, NetworkError
from ranksearch.networks import given_splits
from ranksearch.subject.subject import Subject, check_dense, make_subject

X = torch.rand(96, 1, 8, 8, generator=torch.Generator().manual_seed(0))
Y = torch.arange(96) % 4


def subject(network: nn.Module, x: Tensor = X, y: Tensor = Y, **options: Any) -> Subject:
    splits = given_splits((X[:64], y[:64]), (x[64:], y[64:]))
    return make_subject(network, splits, device=torch.device("cpu"), precision="float32", check=False, **options)


class Own(nn.Module):
    """A small network that does something of its own with images on their way in."""

    def __init__(self, way: Any) -> None:
        super().__init__()
        self.conv, self.head, self.way = nn.Conv2d(1, 8, 3), nn.Linear(288, 4), way

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.conv(self.way(self, x)).relu().flatten(1))


@pytest.mark.parametrize(("classes", "images", "least"), [(10, 5000, 0.1127), (10, 500, 0.1402), (2, 128, 0.6326)])
def test_chance_is_left_by_three_standard_deviations(classes: int, images: int, least: float) -> None:
    check_dense(least + 1e-4, classes, images)
    with pytest.raises(DenseAccuracyError, match=rf"near chance .* for {classes} classes; at least {least:.2%} of"):
        check_dense(least - 1e-4, classes, images)


def test_what_the_study_expects_counts_besides() -> None:
    check_dense(0.9, 10, 500, expected=0.9)
    with pytest.raises(DenseAccuracyError, match=r"reaches 89\.00%.*expect_accuracy = 90\.00%"):
        check_dense(0.89, 10, 500, expected=0.9)
    check_dense(1.0, 2, 8)  # more than all cannot be asked
    check_dense(0.0, None, 500)  # targets are no classes: there is no chance to speak of


def test_images_on_which_the_dense_network_is_not_finite_are_named() -> None:
    """A network that standardises each image, and black ones."""
    black = X.clone()
    black[[64 + 5, 64 + 9]] = 0
    network = Own(lambda self, x: x / x.std((1, 2, 3), keepdim=True))
    with pytest.raises(NetworkError, match=r"not finite on 2 of 32 search images, the first is number 5: .*leave"):
        subject(network, black)


def test_labels_beyond_the_outputs_are_told() -> None:
    with pytest.raises(NetworkError, match=r"labels run to 4, and the network has 4 outputs: .*from 0 on"):
        subject(Own(lambda self, x: x), y=Y + 1)


def test_a_network_may_change_its_input_in_place() -> None:
    def normalise(self: nn.Module, x: Tensor) -> Tensor:
        self.seen = float(x.mean())
        return x.sub_(10)

    network = Own(normalise)
    made = subject(network)
    images, _ = next(made.splits.train.batches(32))
    for _ in range(2):
        made.precision.outputs(made.network, images)
        assert made.network.seen == pytest.approx(0.5, abs=0.1)
    made.teacher.answer(images, "run", 0)
    assert images.mean() == pytest.approx(0.5, abs=0.1)


def test_a_network_that_draws_in_evaluation_mode_is_measured_the_same() -> None:
    def drawn(self: nn.Module, x: Tensor) -> Tensor:
        return F.dropout(x, 0.5) * random.random()

    network = Own(drawn)
    one, other = subject(network), subject(network)
    assert torch.equal(one.dense_outputs, other.dense_outputs)
    assert one.sample_outputs == other.sample_outputs


def test_what_is_frozen_whole_was_made_for_inference() -> None:
    network = Own(lambda self, x: x)
    network.conv.bias.requires_grad_(False)
    assert subject(network).frozen == ("conv.bias",)
    network.requires_grad_(False)
    assert subject(network).frozen == ()
    assert not any(parameter.requires_grad for parameter in network.parameters())  # the user's own stays as it is


def test_a_compiled_network_is_taken_as_it_was() -> None:
    network = Own(lambda self, x: x)
    compiled = subject(torch.compile(network))  # type: ignore[arg-type]
    assert compiled.spec == subject(network).spec
    assert torch.equal(compiled.dense_outputs, subject(network).dense_outputs)


def test_the_users_network_may_keep_what_its_last_training_step_left() -> None:
    def keep(self: nn.Module, x: Tensor) -> Tensor:
        self.kept = self.conv(x)
        return x

    network = Own(keep)
    F.cross_entropy(network(X), Y).backward()
    assert subject(network).spec.names == ("conv", "head")

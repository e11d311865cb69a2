"""Measuring re-estimates batch norm on a copy, and touches neither the network nor any generator."""

import copy
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from ranksearch.decomposition import NestedBases
from ranksearch.errors import DataError, NetworkError, NonFiniteError
from ranksearch.layers import RankConfiguration
from ranksearch.networks import Augmentation, Examples, Resident, build_network, load_weights, make_splits
from ranksearch.progressive import CLASSIFICATION, Precision, Task, attach, measure, predict, reestimate_batch_norm
from ranksearch.records.recipe import AUGMENT

BFLOAT16 = Precision.parse("bfloat16/channels-last")


def untouched(network: nn.Module, before: nn.Module) -> bool:
    now, then = network.state_dict(), before.state_dict()
    return (
        all(torch.equal(now[name], then[name]) for name in then)
        and [m.training for m in network.modules()] == [m.training for m in before.modules()]
        and all(a.stride() == b.stride() for a, b in zip(network.parameters(), before.parameters(), strict=True))
    )


def test_statistics_are_those_of_the_images(network: nn.Module, train: Examples) -> None:
    again = reestimate_batch_norm(network, train, len(train), augment="none")
    seen: list[Tensor] = []
    hook = network.stem.register_forward_hook(lambda module, inputs, output: seen.append(output))
    predict_inputs = torch.cat([inputs for inputs, _ in train.batches(32)])
    network(predict_inputs)
    hook.remove()
    torch.testing.assert_close(again.norm.running_mean, seen[0].mean((0, 2, 3)), rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(again.norm.running_var, seen[0].var((0, 2, 3)), rtol=1e-3, atol=1e-5)


def test_statistics_are_those_of_images_augmented_as_in_training(train: Examples) -> None:
    """Flips leave the mean of uniform images as it is, the black borders of crops do not."""
    grey = Resident.of(torch.ones(96, 3, 8, 8), torch.arange(96) % 4).prepared(None, Augmentation(crop=4, flip=True))
    norm = nn.Sequential(nn.BatchNorm2d(3))
    means = {part: reestimate_batch_norm(norm, grey, 96, augment=part)[0].running_mean for part in AUGMENT}
    assert torch.equal(means["none"], torch.ones(3))
    assert torch.equal(means["flip"], torch.ones(3))
    assert (means["all"] < 0.8).all()
    assert torch.equal(means["all"], reestimate_batch_norm(norm, grey, 96)[0].running_mean)


def test_a_public_network_keeps_its_accuracy(data: Path) -> None:
    """It was trained with crops: by the statistics of images without, it loses three points."""
    splits = make_splits(
        f"npz:{data / 'cifar10'}",
        search=5000,
        normalize={"mean": (0.485, 0.456, 0.406), "std": (0.229, 0.224, 0.225)},
        augment=["crop:4", "flip"],
    )
    network = build_network("resnet20", classes=10).eval()
    load_weights(network, data / "weights" / "resnet20-12fca82f.th")
    assert splits.test is not None
    test = splits.test.subset(range(1000))
    hits = {"own": predict(network, test).argmax(1) == test.targets}
    for part in ("all", "none"):
        again = reestimate_batch_norm(network, splits.train, 2000, augment=part)
        hits[part] = predict(again, test).argmax(1) == test.targets
    accuracy = {name: of.float().mean().item() for name, of in hits.items()}
    assert accuracy["own"] - accuracy["all"] < 0.01 < accuracy["own"] - accuracy["none"]


def test_average_over_batches_is_cumulative(
    network: nn.Module, train: Examples, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = reestimate_batch_norm(network, train, 96, augment="none")
    monkeypatch.setattr("ranksearch.progressive.measuring.BATCH", 32)
    parts = reestimate_batch_norm(network, train, 96, augment="none")
    assert int(parts.norm.num_batches_tracked) == 3
    torch.testing.assert_close(parts.norm.running_mean, whole.norm.running_mean, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("mode", [True, False])
@pytest.mark.parametrize("chosen", [Precision(), BFLOAT16], ids=lambda p: p.name)
def test_network_and_generators_are_untouched(
    network: nn.Module, train: Examples, generators: Callable[[], tuple], mode: bool, chosen: Precision
) -> None:
    network.train(mode)
    before, stood = copy.deepcopy(network), generators()
    again = reestimate_batch_norm(network, train, 64, precision=chosen)
    outputs = predict(network, train, precision=chosen)
    measure(network, train, dense_outputs=outputs, precision=chosen)
    assert generators() == stood
    assert untouched(network, before)
    assert not any(module.training for module in again.modules())
    assert again.norm.momentum == 0.1
    assert not torch.equal(again.norm.running_mean, network.norm.running_mean)
    assert torch.equal(again.norm.weight, network.norm.weight)


def test_reestimation_is_repeatable_and_caps_at_all_images(network: nn.Module, train: Examples) -> None:
    first, second = (reestimate_batch_norm(network, train, images) for images in (len(train), 10**6))
    assert torch.equal(first.norm.running_var, second.norm.running_var)


def test_reestimation_takes_all_classes_of_sorted_data(network: nn.Module) -> None:
    """The first half of sorted data would be one class only."""
    data = Resident.of(
        torch.cat([torch.full((64, 3, 8, 8), -1.0), torch.full((64, 3, 8, 8), 1.0)]), torch.arange(128) // 64
    )
    flat = nn.Sequential(nn.BatchNorm2d(3))
    mean = reestimate_batch_norm(flat, data, 64)[0].running_mean
    assert mean.abs().max() < 0.5


def test_instance_norm_that_tracks_is_reestimated(train: Examples, monkeypatch: pytest.MonkeyPatch) -> None:
    """To the mean over images of each image's own mean and variance, and over batches likewise."""
    images = torch.cat([inputs for inputs, _ in train.batches(32)])
    network = nn.Sequential(nn.InstanceNorm2d(3, track_running_stats=True), nn.InstanceNorm2d(3))
    for batch in (500, 24):
        monkeypatch.setattr("ranksearch.progressive.measuring.BATCH", batch)
        again = reestimate_batch_norm(network, train, len(train), augment="none")[0]
        torch.testing.assert_close(again.running_mean, images.mean((2, 3)).mean(0), rtol=1e-4, atol=1e-5)
        torch.testing.assert_close(again.running_var, images.var((2, 3)).mean(0), rtol=1e-4, atol=1e-5)
        assert again.momentum == 0.1


@pytest.mark.parametrize("images", [1, 2])
def test_one_image_is_taken_as_two(images: int, train: Examples) -> None:
    """One value per channel has no variance: PyTorch refuses to train on it."""
    network = nn.Sequential(nn.Flatten(), nn.BatchNorm1d(192))
    found, pair = (reestimate_batch_norm(network, train, n)[1] for n in (images, 2))
    assert found.running_var.isfinite().all()
    assert torch.equal(found.running_var, pair.running_var)


def test_large_images_go_through_in_smaller_batches(train: Examples, monkeypatch: pytest.MonkeyPatch) -> None:
    sizes: list[int] = []
    network = nn.Sequential(nn.BatchNorm2d(3), nn.Flatten(), nn.Linear(192, 4))
    network[1].register_forward_hook(lambda module, inputs, outputs: sizes.append(len(outputs)))
    monkeypatch.setattr("ranksearch.progressive.measuring.BATCH_NUMBERS", 20 * 192)
    outputs = predict(network.eval(), train)
    assert max(sizes) == 20
    sizes.clear()
    reestimate_batch_norm(network, train, 64)
    assert sizes == [16] * 4
    sizes.clear()
    monkeypatch.setattr("ranksearch.progressive.measuring.BATCH_NUMBERS", 1)
    reestimate_batch_norm(network, train, 7)
    assert sizes == [2] * 3  # one image may have no variance
    torch.testing.assert_close(predict(network, train), outputs)


def test_statistics_that_are_not_estimated_stay(train: Examples) -> None:
    class Frozen(nn.BatchNorm2d):
        def train(self, mode: bool = True) -> "Frozen":
            return super().train(False)

    class Helped(nn.Module):
        """Its second norm runs in training only."""

        def __init__(self) -> None:
            super().__init__()
            self.frozen, self.helper, self.free = Frozen(3), nn.BatchNorm2d(3), nn.BatchNorm2d(3)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.free(self.helper(self.frozen(x)) if self.training else self.frozen(x))

    network = Helped()
    for norm in (network.frozen, network.helper, network.free):
        norm.running_mean.fill_(5)
        norm.num_batches_tracked.fill_(7)
    found = reestimate_batch_norm(network.eval(), train, 32)
    for norm in (found.frozen, found.helper):
        assert norm.running_mean.tolist() == [5.0] * 3
        assert norm.num_batches_tracked == 7
    assert found.free.running_mean.tolist() != [5.0] * 3
    assert found.free.num_batches_tracked == 1


def test_a_single_training_image_is_refused(train: Examples) -> None:
    network = nn.Sequential(nn.Flatten(), nn.BatchNorm1d(192))
    with pytest.raises(DataError, match="at least 2 training images"):
        reestimate_batch_norm(network, train.subset([0]), 8)


def test_an_infinite_distance_is_told(network: nn.Module, train: Examples) -> None:
    outputs = predict(network, train)
    task = Task.of(lambda o, t: o.mean(), lambda o, t: 0.5)
    with pytest.raises(NonFiniteError, match="distance"):
        measure(network, train, dense_outputs=torch.full_like(outputs, 1e30), task=task)


def test_without_running_statistics_it_is_a_copy(train: Examples) -> None:
    network = nn.Sequential(nn.Flatten(), nn.Linear(192, 4), nn.BatchNorm1d(4, track_running_stats=False))
    again = reestimate_batch_norm(network, train, 64)
    assert again is not network
    assert not again.training
    assert untouched(again.train(), network)


def test_predict_is_in_order_in_evaluation_mode(
    network: nn.Module, train: Examples, monkeypatch: pytest.MonkeyPatch
) -> None:
    inputs = next(train.batches(len(train)))[0]
    expected = network(inputs)
    monkeypatch.setattr("ranksearch.progressive.measuring.BATCH", 40)
    outputs = predict(network.train(), train)
    torch.testing.assert_close(outputs, expected)
    assert outputs.dtype == torch.float32
    assert not outputs.is_inference()


def test_measurement_of_the_dense_network(network: nn.Module, train: Examples) -> None:
    outputs = predict(network, train)
    result = measure(network, train, dense_outputs=outputs, split="test")
    assert (result.distance, result.split, result.images) == (0.0, "test", 96)
    assert result.accuracy == pytest.approx(float((outputs.argmax(1) == train.targets).float().mean()))
    assert measure(network, train) == measure(network, train, dense_outputs=outputs)


def test_distance_and_score_are_the_tasks(network: nn.Module, train: Examples) -> None:
    dense = predict(network, train)
    with torch.no_grad():
        network.head.weight.mul_(0.5)
    moved = predict(network, train)
    result = measure(network, train, dense_outputs=dense)
    assert result.distance == pytest.approx(CLASSIFICATION.distance(moved, dense))
    assert result.distance > 0
    own = Task.of(lambda o, t: o.mean(), lambda o, t: 3.0, range=(2.0, 4.0))
    result = measure(network, train, dense_outputs=dense, task=own)
    assert result.accuracy == 0.5
    assert result.distance == pytest.approx(float((moved - dense).square().mean()))


def test_progressive_networks_are_not_measured(
    network: nn.Module, train: Examples, bases: dict[str, NestedBases], configuration: RankConfiguration
) -> None:
    with pytest.raises(NetworkError, match="'stem' is progressive: collapse"):
        measure(attach(network, bases, configuration), train)


def test_non_finite_outputs_are_told(network: nn.Module, train: Examples) -> None:
    with torch.no_grad():
        network.head.bias[0] = float("nan")
    with pytest.raises(NonFiniteError, match="not finite on 96 of 96 images"):
        measure(network, train)

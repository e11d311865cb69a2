"""What is held in memory and what is streamed; joining two sets."""

import numpy as np
import pytest
import torch
from PIL import Image
from torch.utils.data import Dataset, Subset, TensorDataset
from torchvision import transforms
from torchvision.datasets import CIFAR10, SVHN, ImageFolder

from ranksearch.errors import DataError
from ranksearch.networks import Augmentation, Normalization, Resident, Streamed, concatenate, examples_of

MEAN, STD = (0.5, 0.4, 0.3), (0.2, 0.3, 0.4)


class Plain(Dataset):
    def __init__(self, value: float, label=int) -> None:
        self.value, self.label = value, label

    def __len__(self) -> int:
        return 4

    def __getitem__(self, i: int):
        return torch.full((1, 2, 2), self.value), self.label(i)


def cifar(transform=None, target_transform=None) -> CIFAR10:
    """Eight images in torchvision's class, without its files."""
    dataset = object.__new__(CIFAR10)
    dataset.data = np.random.default_rng(0).integers(0, 256, (8, 32, 32, 3), dtype=np.uint8)
    dataset.targets = [3, 1, 4, 1, 5, 9, 2, 6]
    dataset.transform, dataset.target_transform = transform, target_transform
    return dataset


def test_arrays_and_tensor_datasets_are_resident():
    inputs, targets = torch.rand(5, 1, 4, 4), torch.arange(5)
    for data in ((inputs, targets), [inputs.numpy(), targets.numpy()], TensorDataset(inputs, targets)):
        examples = examples_of(data)
        assert isinstance(examples, Resident)
        assert torch.equal(next(examples.batches(5))[0], inputs)
    assert examples_of(examples) is examples


@pytest.mark.parametrize(
    "transform",
    [
        transforms.ToTensor(),
        transforms.Compose([transforms.ToTensor()]),
        transforms.Compose([transforms.ToTensor(), transforms.Normalize(MEAN, STD)]),
    ],
)
def test_known_transforms_of_torchvision_become_resident_and_give_the_same(transform):
    dataset = cifar(transform)
    examples = examples_of(dataset)
    assert isinstance(examples, Resident)
    assert examples.store.inputs.dtype == torch.uint8
    inputs, targets = next(examples.batches(8))
    torch.testing.assert_close(inputs, torch.stack([dataset[i][0] for i in range(8)]), rtol=0, atol=2e-6)
    assert targets.tolist() == dataset.targets


def test_without_a_transform_pixels_are_scaled():
    assert torch.equal(examples_of(cifar()).example()[0], transforms.ToTensor()(cifar().data[0]))


def test_other_transforms_are_streamed_as_they_are():
    flips = transforms.Compose([transforms.RandomHorizontalFlip(), transforms.ToTensor()])
    examples = examples_of(cifar(flips))
    assert isinstance(examples, Streamed)
    assert examples.targets.tolist() == cifar().targets
    doubled = examples_of(cifar(transforms.ToTensor(), target_transform=lambda y: 2 * y))
    assert isinstance(doubled, Streamed)
    assert doubled.labels is None
    assert doubled.targets.tolist() == [2 * y for y in cifar().targets]


def test_svhn_is_known():
    dataset = object.__new__(SVHN)
    dataset.data = np.zeros((4, 3, 32, 32), np.uint8)
    dataset.labels = np.array([1, 2, 3, 0])
    dataset.transform = dataset.target_transform = None
    assert examples_of(dataset).targets.tolist() == [1, 2, 3, 0]


def test_subset_of_a_dataset():
    examples = examples_of(Subset(cifar(), [4, 0]))
    assert isinstance(examples, Resident)
    assert examples.targets.tolist() == [5, 3]


def test_a_subclass_gives_what_its_items_are():
    class Halved(Subset):
        def __getitem__(self, index):
            inputs, target = super().__getitem__(index)
            return inputs / 2, target

        def __getitems__(self, indices):  # torch's Subset wants both
            return [self[index] for index in indices]

    class Brighter(TensorDataset):
        def __getitem__(self, index):
            inputs, target = super().__getitem__(index)
            return inputs + 1, target

    stored = TensorDataset(torch.ones(6, 1, 4, 4), torch.arange(6))
    halved, brighter = examples_of(Halved(stored, [4, 0])), examples_of(Brighter(*stored.tensors))
    assert halved.targets.tolist() == [4, 0]
    assert torch.equal(halved.example(), torch.full((1, 1, 4, 4), 0.5))
    assert torch.equal(brighter.example(), torch.full((1, 1, 4, 4), 2.0))


@pytest.mark.parametrize("data", [3, [1, 2, 3], "digits", None])
def test_anything_else_is_refused(data):
    with pytest.raises(DataError, match="must be a torch Dataset, or a pair"):
        examples_of(data)


def test_parts_of_one_store_join_without_a_copy():
    whole = examples_of(cifar()).prepared(Normalization(MEAN, STD), Augmentation(crop=4))
    joined = concatenate(whole.subset([1, 2]), whole.subset([7]))
    assert joined.store is whole.store
    assert joined.rows.tolist() == [1, 2, 7]
    assert joined.augmentation.crop == 4
    streamed = examples_of(Plain(1.0))
    assert concatenate(streamed.subset([0]), streamed.subset([3])).rows.tolist() == [0, 3]


def test_two_resident_sets_become_one():
    one, other = examples_of(cifar()), examples_of(cifar()).subset([2])
    joined = concatenate(one, other)
    assert isinstance(joined, Resident)
    assert torch.equal(next(joined.batches(9))[0][8], one.store.inputs[2] / 255)
    assert joined.targets.tolist() == [*cifar().targets, 4]


@pytest.mark.parametrize("label", [int, torch.tensor, np.int64])
def test_different_kinds_join_as_the_network_sees_them(label):
    ours = Resident.of(torch.full((2, 1, 2, 2), 255, dtype=torch.uint8), torch.tensor([8, 9]))
    ours = ours.prepared(Normalization((0.5,), (0.25,)), Augmentation())
    joined = concatenate(examples_of(Plain(7.0, label)), ours)
    inputs, targets = next(joined.batches(6))
    assert inputs[:, 0, 0, 0].tolist() == [7, 7, 7, 7, 2, 2]
    assert targets.tolist() == joined.targets.tolist() == [0, 1, 2, 3, 8, 9]


def test_shapes_must_agree():
    with pytest.raises(DataError, match="must have one shape"):
        concatenate(examples_of(cifar()), examples_of(Plain(1.0)))


def test_a_subclass_with_items_of_its_own_keeps_no_labels(tmp_path):
    class Halves(ImageFolder):
        def __getitem__(self, i):
            image, label = super().__getitem__(i)
            return image, label // 2

    for name in "abcd":
        (tmp_path / name).mkdir()
        Image.new("RGB", (4, 4)).save(tmp_path / name / "0.png")
    for kind, labels in ((ImageFolder, [0, 1, 2, 3]), (Halves, [0, 0, 1, 1])):
        examples = examples_of(kind(str(tmp_path), transform=transforms.ToTensor()))
        assert examples.targets.tolist() == next(examples.batches(4))[1].tolist() == labels

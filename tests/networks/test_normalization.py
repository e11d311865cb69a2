"""The fused multiply-add equals torchvision's ToTensor and Normalize."""

import numpy as np
import pytest
import torch
from torchvision import transforms

from ranksearch.errors import DataError
from ranksearch.networks import Normalization
from ranksearch.networks.normalization import as_input

CIFAR = Normalization((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))


def test_equals_torchvision():
    image = np.random.default_rng(0).integers(0, 256, (5, 6, 3), dtype=np.uint8)
    theirs = transforms.Compose([transforms.ToTensor(), transforms.Normalize(CIFAR.mean, CIFAR.std)])(image)
    ours = as_input(torch.from_numpy(image).permute(2, 0, 1)[None], CIFAR)[0]
    assert ours.dtype == torch.float32
    torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-6)


def test_without_a_setting():
    assert as_input(torch.tensor([[[[0, 255]]]], dtype=torch.uint8), None).flatten().tolist() == [0.0, 1.0]
    floats = torch.rand(2, 1, 3, 3, dtype=torch.float64)
    assert torch.equal(as_input(floats, None), floats.float())
    tokens = torch.arange(6).reshape(2, 3)
    assert as_input(tokens, None) is tokens


def test_floats_are_normalised_on_their_own_scale_and_not_in_place():
    floats = torch.tensor([[[[4.0, 8.0]]]])
    assert as_input(floats, Normalization.of({"mean": 4, "std": [2]})).flatten().tolist() == [0.0, 2.0]
    assert floats.flatten().tolist() == [4.0, 8.0]


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ({"mean": [0.5], "std": [0.0]}, "std above 0"),
        ({"mean": [float("nan")], "std": [1.0]}, "finite"),
        ({"mean": [0.5, 0.5], "std": [1.0]}, "as many"),
        ({"mean": [], "std": []}, "as many"),
        ({"mean": [0.5]}, "lacks std"),
        ({"mean": [0.5], "sdt": [1.0]}, "did you mean 'std'"),
        ({"mean": "a", "std": [1.0]}, "must be numbers"),
    ],
)
def test_refused(setting, message):
    with pytest.raises(DataError, match=message):
        Normalization.of(setting)

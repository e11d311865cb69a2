"""Crops and flips of a whole batch equal those of torchvision, image by image."""

import pytest
import torch
from torchvision.transforms import functional as F

from ranksearch.errors import DataError
from ranksearch.networks import Augmentation


@pytest.mark.parametrize("dtype", [torch.uint8, torch.float32])
@pytest.mark.parametrize("setting", [["crop:2"], ["flip"], ["crop:4", "flip"], []])
def test_each_image_is_one_of_torchvisions_windows(setting, dtype):
    augmentation = Augmentation.of(setting)
    images = torch.randint(1, 255, (40, 3, 6, 7)).to(dtype)
    results = augmentation(images, torch.Generator().manual_seed(0))
    assert results.dtype == dtype
    assert results.is_contiguous()
    seen = set()
    for image, result in zip(images, results, strict=True):
        found = [
            (top, left, mirrored)
            for mirrored in {False, augmentation.flip}
            for padded in [F.pad(F.hflip(image) if mirrored else image, [augmentation.crop] * 4)]
            for top in range(2 * augmentation.crop + 1)
            for left in range(2 * augmentation.crop + 1)
            if torch.equal(F.crop(padded, top, left, 6, 7), result)
        ]
        assert found
        seen.add(found[0])
    assert len(seen) > 1 or not augmentation


def test_the_generator_decides():
    augmentation, images = Augmentation(2, True), torch.rand(16, 1, 5, 5)
    first, again, other = (augmentation(images, torch.Generator().manual_seed(s)) for s in (0, 0, 1))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_a_training_may_use_a_part_of_it():
    whole = Augmentation(2, True)
    assert [whole.part(name) for name in ("all", "flip", "none")] == [whole, Augmentation(0, True), Augmentation()]
    assert not Augmentation(2).part("flip")


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        (["crop"], "allowed: crop:N"),
        (["crop:-1"], "allowed: crop:N"),
        (["rotate"], "'rotate'; allowed"),
        (["flip", "flip"], "flip twice"),
        (["crop:1", "crop:2"], "crop twice"),
    ],
)
def test_refused(setting, message):
    with pytest.raises(DataError, match=message):
        Augmentation.of(setting)
    with pytest.raises(DataError, match="0 pixels or more"):
        Augmentation(crop=-1)

"""Patches as rows: against ``torch.nn.functional.unfold`` where it applies, against the layer itself everywhere."""

from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn import functional as F

from ranksearch.decomposition.patches import sampled_patches

EVERY = 10**6


@st.composite
def convolutions(draw: st.DrawFn, plain: bool = False) -> tuple[nn.Conv2d, Tensor]:
    kernel = draw(st.tuples(st.integers(1, 3), st.integers(1, 3)))
    settings: dict[str, Any] = {
        "stride": draw(st.tuples(st.integers(1, 3), st.integers(1, 3))),
        "dilation": draw(st.tuples(st.integers(1, 2), st.integers(1, 2))),
        "padding": draw(st.one_of(st.integers(0, 2), st.tuples(st.integers(0, 2), st.integers(0, 2)))),
        "padding_mode": "zeros" if plain else draw(st.sampled_from(["zeros", "reflect", "replicate", "circular"])),
    }
    if not plain and (named := draw(st.sampled_from([None, "same", "valid"]))):
        settings["padding"] = named
        if named == "same":
            settings["stride"] = 1
    channels = draw(st.integers(1, 3)), draw(st.integers(1, 3))
    height, width = draw(st.integers(5, 8)), draw(st.integers(5, 8))
    generator = torch.Generator().manual_seed(draw(st.integers(0, 2**31)))
    layer = nn.Conv2d(*channels, kernel, bias=False, dtype=torch.float64, **settings)
    layer.weight.data = torch.randn(layer.weight.shape, generator=generator, dtype=torch.float64)
    inputs = torch.randn(2, channels[0], height, width, generator=generator, dtype=torch.float64)
    return layer, inputs.to(memory_format=draw(st.sampled_from([torch.contiguous_format, torch.channels_last])))


@given(convolutions())
def test_the_kernel_times_the_patches_is_the_layer(case: tuple[nn.Conv2d, Tensor]) -> None:
    layer, inputs = case
    rows = sampled_patches(layer, inputs, range(2), EVERY)
    outputs = layer(inputs).movedim(1, -1)
    torch.testing.assert_close(rows @ layer.weight.flatten(1).T, outputs.reshape(-1, layer.out_channels))


@given(convolutions(plain=True))
def test_patches_are_those_of_unfold(case: tuple[nn.Conv2d, Tensor]) -> None:
    layer, inputs = case
    columns = F.unfold(inputs, layer.kernel_size, layer.dilation, layer.padding, layer.stride)  # type: ignore[arg-type]
    rows = sampled_patches(layer, inputs, range(2), EVERY)
    assert torch.equal(rows, columns.transpose(1, 2).flatten(0, 1))


@pytest.mark.parametrize("shape", [(6, 4), (6, 5, 4), (6, 2, 3, 4)])
def test_every_row_of_a_linear_layers_input_is_a_patch(shape: tuple[int, ...]) -> None:
    inputs = torch.randn(shape)
    assert torch.equal(sampled_patches(nn.Linear(4, 3), inputs, range(6), EVERY), inputs.reshape(-1, 4))


@pytest.mark.parametrize("layer", [nn.Conv2d(2, 3, 3, stride=2, padding=1), nn.Conv2d(2, 3, 1), nn.Linear(9, 4)])
def test_sampled_positions_do_not_depend_on_the_batch(layer: nn.Conv2d | nn.Linear) -> None:
    inputs = torch.randn(7, 2, 9, 9)
    whole = sampled_patches(layer, inputs, range(7), 6)
    assert whole.shape == (7 * 6, layer.weight[0].numel())
    split = [sampled_patches(layer, inputs[a:b], range(a, b), 6) for a, b in ((0, 3), (3, 4), (4, 7))]
    assert torch.equal(torch.cat(split), whole)


def test_sampled_positions_differ_within_an_image_and_between_images() -> None:
    ramp = torch.arange(100.0).reshape(1, 1, 10, 10).expand(4, 1, 10, 10)
    chosen = sampled_patches(nn.Conv2d(1, 1, 1), ramp, range(4), 20).reshape(4, 20)
    assert all(len(row.unique()) == 20 for row in chosen)
    assert len({tuple(row.tolist()) for row in chosen}) == 4


def test_where_images_are_mixed_the_batch_counts_as_one() -> None:
    inputs = torch.arange(28.0).reshape(7, 4)  # seven rows for three images
    assert sampled_patches(nn.Linear(4, 2), inputs, range(3), 2).shape == (6, 4)
    assert torch.equal(sampled_patches(nn.Linear(4, 2), inputs, range(3), 3), inputs)

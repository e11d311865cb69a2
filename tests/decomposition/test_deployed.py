"""Deployed layers: the same function in both forms, the dense layer's settings, and exact reloading."""

import copy
from typing import Any, get_args

import pytest
import torch
from torch import Tensor, nn

from ranksearch.decomposition import Factors, deploy, nested_bases, skeleton
from ranksearch.errors import RankError
from ranksearch.layers import Dense, LayerForm, LayerRanks, LayerSpec, Svd, Tucker2, layer_forms

FORMS: list[LayerForm] = ["plain", "pivoted"]
CONVOLUTIONS: dict[str, dict[str, Any]] = {
    "plain": {"kernel_size": 3},
    "strided": {"kernel_size": 3, "stride": (2, 1), "padding": 1},
    "padding by axis": {"kernel_size": (3, 5), "padding": (0, 2), "bias": False},
    "same": {"kernel_size": (2, 3), "padding": "same", "dilation": 2},
    "valid": {"kernel_size": 2, "padding": "valid", "stride": 2},
    "reflect": {"kernel_size": 3, "padding": (2, 1), "padding_mode": "reflect"},
    "replicate": {"kernel_size": 3, "padding": 1, "padding_mode": "replicate", "stride": 2, "bias": False},
    "circular": {"kernel_size": (1, 3), "padding": (0, 2), "padding_mode": "circular", "dilation": (1, 2)},
    "same, reflect": {"kernel_size": 3, "padding": "same", "padding_mode": "reflect"},
    "dilated": {"kernel_size": 3, "padding": 2, "dilation": 2},
    "1×1": {"kernel_size": 1},
    "1×1 strided and padded": {"kernel_size": 1, "stride": (2, 3), "padding": (1, 2)},
    "1×1 circular": {"kernel_size": 1, "padding": 1, "padding_mode": "circular", "bias": False},
}


def factors_of(dense: nn.Conv2d | nn.Linear, ranks: LayerRanks) -> Factors:
    out, in_, *kernel = dense.weight.shape
    size = (kernel[0], kernel[1]) if kernel else (1, 1)
    spec = LayerSpec(name="layer", kind="conv2d", channels_out=out, channels_in=in_, kernel=size)
    return nested_bases(spec, dense.weight).factors(ranks)


def with_kernel(dense: nn.Module, kernel: Tensor) -> nn.Module:
    changed = copy.deepcopy(dense)
    changed.load_state_dict(dense.state_dict() | {"weight": kernel.reshape(dense.get_parameter("weight").shape)})
    return changed


def ranks_for(dense: nn.Conv2d) -> list[LayerRanks]:
    if dense.kernel_size == (1, 1):
        return [Svd(1), Svd(3), Svd(min(dense.out_channels, dense.in_channels))]
    return [Tucker2(1, 1), Tucker2(4, 3), Tucker2(dense.out_channels, 3), Tucker2(4, dense.in_channels)]


@pytest.mark.parametrize("channels", [(5, 7), (7, 5)])
@pytest.mark.parametrize("settings", CONVOLUTIONS.values(), ids=CONVOLUTIONS)
def test_a_convolution_computes_what_the_dense_one_would(settings: dict[str, Any], channels: tuple[int, int]) -> None:
    torch.manual_seed(0)
    dense = nn.Conv2d(*channels, **settings)
    x = torch.randn(2, channels[0], 9, 10)
    for ranks in ranks_for(dense):
        factors = factors_of(dense, ranks)
        expected = with_kernel(dense, factors.kernel())(x)
        for form in layer_forms(ranks):
            made = deploy(dense, factors, form)
            torch.testing.assert_close(made(x), expected, rtol=1e-5, atol=1e-5)
            torch.testing.assert_close(made(x[0]), expected[0], rtol=1e-5, atol=1e-5)  # an image without a batch


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("sizes", [(8, 5), (5, 8)])
@pytest.mark.parametrize("rank", [1, 3, 5])
def test_a_linear_layer_on_any_leading_dimensions(
    sizes: tuple[int, int], rank: int, bias: bool, form: LayerForm
) -> None:
    torch.manual_seed(0)
    dense = nn.Linear(*sizes, bias=bias)
    factors = factors_of(dense, Svd(rank))
    made, expected = deploy(dense, factors, form), with_kernel(dense, factors.kernel())
    for leading in [(), (3,), (2, 4), (2, 1, 4)]:
        x = torch.randn(*leading, sizes[0])
        torch.testing.assert_close(made(x), expected(x), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("form", get_args(LayerForm))
@pytest.mark.parametrize("settings", CONVOLUTIONS.values(), ids=CONVOLUTIONS)
def test_a_skeleton_reloads_exactly(settings: dict[str, Any], form: LayerForm) -> None:
    torch.manual_seed(0)
    dense = nn.Conv2d(6, 7, **settings)
    x = torch.randn(2, 6, 9, 10)
    for ranks in ranks_for(dense):
        if form not in layer_forms(ranks):
            continue
        made = deploy(dense, factors_of(dense, ranks), form)
        empty = skeleton(nn.Conv2d(6, 7, **settings), ranks, form)
        empty.load_state_dict(made.state_dict(), strict=True)
        assert torch.equal(empty(x), made(x))


@pytest.mark.parametrize("form", FORMS)
def test_full_ranks_leave_one_ordinary_layer(form: LayerForm) -> None:
    dense = nn.Conv2d(4, 6, 3, stride=2, padding=1, padding_mode="circular")
    made = deploy(dense, factors_of(dense, Tucker2(6, 4)), form)
    assert type(made) is nn.Conv2d
    torch.testing.assert_close(made.weight, dense.weight)
    x = torch.randn(1, 4, 8, 8)
    torch.testing.assert_close(made(x), dense(x))


@pytest.mark.parametrize(
    ("ranks", "parts"), [(Tucker2(6, 2), ["factor_in", "core"]), (Tucker2(2, 4), ["core", "factor_out"])]
)
@pytest.mark.parametrize("form", FORMS)
def test_a_mode_at_full_rank_is_absorbed(ranks: Tucker2, parts: list[str], form: LayerForm) -> None:
    dense = nn.Conv2d(4, 6, 3)
    assert [name for name, _ in deploy(dense, factors_of(dense, ranks), form).named_children()] == parts


@pytest.mark.parametrize(
    ("form", "parts"), [("merged-in", ["core", "factor_out"]), ("merged-out", ["factor_in", "core"]), ("dense", [])]
)
def test_a_merged_side_has_no_operation_of_its_own(form: LayerForm, parts: list[str]) -> None:
    dense = nn.Conv2d(4, 6, 3)
    assert [name for name, _ in deploy(dense, factors_of(dense, Tucker2(3, 2)), form).named_children()] == parts


def test_a_form_of_another_format_is_refused() -> None:
    with pytest.raises(RankError, match="plain, pivoted, dense, not 'merged-in'"):
        skeleton(nn.Linear(4, 6), Svd(2), "merged-in")


def test_dense_ranks_give_a_copy() -> None:
    dense = nn.Conv2d(4, 6, 3)
    made = skeleton(dense, Dense(), "plain")
    assert made is not dense
    assert torch.equal(made.get_parameter("weight"), dense.weight)


@pytest.mark.parametrize("form", FORMS)
def test_what_is_taken_over_from_the_dense_layer(form: LayerForm) -> None:
    dense = nn.Conv2d(4, 6, 3, dtype=torch.bfloat16).eval()
    dense.weight.requires_grad_(False)
    made = deploy(dense, factors_of(dense, Tucker2(3, 2)), form)
    assert not any(module.training for module in made.modules())
    for name, parameter in made.named_parameters():
        assert parameter.dtype == torch.bfloat16
        assert parameter.requires_grad == name.endswith("bias")
    core = made.get_submodule("core")
    assert isinstance(core, nn.Conv2d)
    assert (core.stride, core.padding, core.padding_mode) == (dense.stride, dense.padding, dense.padding_mode)


@pytest.mark.parametrize("form", FORMS)
def test_no_generator_is_touched(form: LayerForm) -> None:
    dense = nn.Conv2d(4, 6, 3)
    factors = factors_of(dense, Tucker2(3, 2))
    before = torch.get_rng_state()
    deploy(dense, factors, form)
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize("form", FORMS)
def test_autocast_and_channels_last(form: LayerForm) -> None:
    torch.manual_seed(0)
    dense = nn.Conv2d(8, 8, 3, padding=1)
    made = deploy(dense, factors_of(dense, Tucker2(4, 3)), form)
    x = torch.randn(2, 8, 6, 6)
    expected = made(x)
    made = made.to(memory_format=torch.channels_last)
    x = x.to(memory_format=torch.channels_last)
    torch.testing.assert_close(made(x), expected, rtol=1e-5, atol=1e-5)
    with torch.autocast("cpu", torch.bfloat16):
        low = made(x)
    assert low.dtype == torch.bfloat16
    torch.testing.assert_close(low.float(), expected, rtol=0.05, atol=0.05)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("kind", ["conv", "linear"])
def test_it_exports(form: LayerForm, kind: str) -> None:
    dense: nn.Conv2d | nn.Linear = nn.Conv2d(4, 6, 3) if kind == "conv" else nn.Linear(4, 6)
    made = deploy(dense, factors_of(dense, Tucker2(3, 2) if kind == "conv" else Svd(2)), form).eval()
    x = torch.randn(2, 4, 8, 8) if kind == "conv" else torch.randn(2, 4)
    program = torch.export.export(made, (x,))
    torch.testing.assert_close(program.module()(x), made(x))


@pytest.mark.parametrize("form", FORMS)
def test_gradients_reach_every_parameter(form: LayerForm) -> None:
    dense = nn.Conv2d(4, 6, 3)
    made = deploy(dense, factors_of(dense, Tucker2(3, 2)), form)
    made(torch.randn(2, 4, 8, 8)).square().sum().backward()
    assert all(p.grad is not None and p.grad.any() for p in made.parameters())


@pytest.mark.parametrize("form", FORMS)
def test_equal_in_a_network(form: LayerForm) -> None:
    """Both forms of a whole network agree to float precision, also where the factors were trained away."""
    torch.manual_seed(0)
    network = nn.Sequential(
        nn.Conv2d(3, 16, 3, padding=1), nn.BatchNorm2d(16), nn.ReLU(), nn.Conv2d(16, 24, 3, stride=2),
        nn.ReLU(), nn.Conv2d(24, 8, 1), nn.ReLU(), nn.Flatten(), nn.Linear(8 * 9, 10),
    ).eval()  # fmt: skip
    compressed, reference = copy.deepcopy(network), copy.deepcopy(network)
    for index, ranks in {0: Tucker2(9, 2), 3: Tucker2(11, 7), 5: Svd(5), 8: Svd(6)}.items():
        dense = network[index]
        assert isinstance(dense, nn.Conv2d | nn.Linear)
        made = factors_of(dense, ranks)
        trained = Factors(made.core, made.factor_out + 0.1 * torch.randn_like(made.factor_out), made.factor_in)
        compressed[index] = deploy(dense, trained, form)
        reference[index] = with_kernel(dense, trained.kernel())
    x = torch.randn(4, 3, 8, 8)
    torch.testing.assert_close(compressed(x), reference(x), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("ranks", [Svd(2), Tucker2(7, 2), Tucker2(2, 5)])
def test_ranks_that_do_not_fit_are_refused(ranks: LayerRanks) -> None:
    with pytest.raises(RankError, match="does not fit"):
        skeleton(nn.Conv2d(4, 6, 3), ranks, "plain")

"""A progressive layer is the dense one at λ = 1 and the deployed one at λ = 0, whatever the layer's geometry."""

import copy

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from ranksearch.decomposition import nested_bases
from ranksearch.errors import NetworkError
from ranksearch.layers import LayerSpec, Svd, Tucker2
from ranksearch.progressive import ElasticLayer, ProgressiveLayer, adapter

FADES = ["residual", "full"]
Made = tuple[nn.Conv2d | nn.Linear, ProgressiveLayer, Tensor]


@st.composite
def layers(draw: st.DrawFn) -> Made:
    """A dense layer, the progressive one made of it, and an input."""
    torch.manual_seed(draw(st.integers(0, 999)))
    channels_in, channels_out, bias = draw(st.integers(1, 7)), draw(st.integers(1, 7)), draw(st.booleans())
    dense: nn.Conv2d | nn.Linear
    if draw(st.booleans()):
        kernel = draw(st.sampled_from([(3, 3), (1, 3), (2, 1), (1, 1), (5, 3)]))
        stride = draw(st.sampled_from([1, 2, (2, 1)]))
        padding = draw(st.sampled_from([0, 1, (0, 1), "valid"] + (["same"] if stride == 1 else [])))
        dense = nn.Conv2d(
            channels_in, channels_out, kernel, stride=stride, padding=padding, bias=bias,
            dilation=draw(st.sampled_from([1, 2])),
            padding_mode=draw(st.sampled_from(["zeros", "reflect", "replicate", "circular"])),
        )  # fmt: skip
        x = torch.randn(2, channels_in, 11, 12)
    else:
        kernel, dense = (1, 1), nn.Linear(channels_in, channels_out, bias)
        x = torch.randn((*draw(st.sampled_from([(3,), (2, 3)])), channels_in))
    kind = "conv2d" if isinstance(dense, nn.Conv2d) else "linear"
    spec = LayerSpec(name="l", kind=kind, channels_out=channels_out, channels_in=channels_in, kernel=kernel, bias=bias)
    if spec.format == "tucker2":
        rank_out = draw(st.integers(1, min(channels_out, spec.kernel_size * channels_in)))
        low = -(-rank_out // spec.kernel_size)
        ranks = Tucker2(rank_out, draw(st.integers(low, min(channels_in, spec.kernel_size * rank_out))))
    else:
        ranks = Svd(draw(st.integers(1, min(channels_out, channels_in))))
    factors = nested_bases(spec, dense.weight).factors(ranks)
    layer = ProgressiveLayer.of(copy.deepcopy(dense), factors, draw(st.sampled_from(FADES)))
    return dense, layer, x


def moved(layer: ProgressiveLayer) -> ProgressiveLayer:
    """The layer after some training: no factor is orthonormal or zero any more."""
    with torch.no_grad():
        for parameter in layer.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    return layer


def close(a: Tensor, b: Tensor) -> None:
    torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-4)


@given(layers(), st.sampled_from([1e-9, 1e9]))
@settings(max_examples=150, deadline=None)
def test_starts_as_the_dense_layer(made: Made, throughput: float) -> None:
    dense, layer, x = made
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(adapter, "THIN_THROUGHPUT", throughput)
        assert layer.decay == 1.0
        close(layer(x), dense(x))
        close(layer.kernel(), dense.weight)


@given(layers(), st.sampled_from([1e-9, 1e9]), st.sampled_from(["plain", "pivoted"]))
@settings(max_examples=150, deadline=None)
def test_ends_as_the_deployed_layer(made: Made, throughput: float, form: str) -> None:
    _, layer, x = made
    moved(layer).decay = 0.0
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(adapter, "THIN_THROUGHPUT", throughput)
        deployed = layer.deployed(form)  # type: ignore[arg-type]
        close(layer(x), deployed(x))
    assert not {p.data_ptr() for p in layer.parameters()} & {p.data_ptr() for p in deployed.parameters()}
    assert all(p.requires_grad for p in deployed.parameters())


@given(layers(), st.floats(0, 1))
@settings(max_examples=100, deadline=None)
def test_both_ways_of_computing_agree_at_any_decay(made: Made, decay: float) -> None:
    _, layer, x = made
    moved(layer).decay = decay
    outputs, gradients = [], []
    for throughput in (1e-9, 1e9):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(adapter, "THIN_THROUGHPUT", throughput)
            assert layer.prefers_factors(x) == (throughput > 1)
            outputs.append(layer(x))
            gradients.append(torch.autograd.grad(outputs[-1].square().mean(), list(layer.parameters())))
    close(*outputs)
    for pair in zip(*gradients, strict=True):
        close(*pair)


@given(layers(), st.floats(0, 1))
@settings(max_examples=50, deadline=None)
def test_kernel_is_linear_in_the_decay(made: Made, decay: float) -> None:
    _, layer, _ = made
    moved(layer)
    ends = []
    for layer.decay in (0.0, 1.0):
        ends.append(layer.kernel())
    layer.decay = decay
    close(layer.kernel(), (1 - decay) * ends[0] + decay * ends[1])
    close(ends[0], layer.factors().kernel().reshape(ends[0].shape))


def conv(channels: int = 8, kernel: int = 3) -> tuple[nn.Conv2d, LayerSpec]:
    torch.manual_seed(0)
    spec = LayerSpec(
        name="l", kind="conv2d", channels_out=channels, channels_in=channels, kernel=(kernel, kernel), bias=True
    )
    return nn.Conv2d(channels, channels, kernel, padding=kernel // 2), spec


@pytest.mark.parametrize("fade", FADES)
@pytest.mark.parametrize(("kernel", "ranks"), [(3, Tucker2(4, 3)), (1, Svd(3))])
def test_everything_but_the_residual_learns(fade: str, kernel: int, ranks: Tucker2 | Svd) -> None:
    dense, spec = conv(kernel=kernel)
    layer = ProgressiveLayer.of(dense, nested_bases(spec, dense.weight).factors(ranks), fade)  # type: ignore[arg-type]
    assert {n for n, _ in layer.named_buffers()} == {"shell.weight"}
    adapters = {"factor_out", "factor_in"} | ({"core"} if kernel == 3 else set())
    assert {n for n, _ in layer.named_parameters()} == adapters | {"shell.bias"}
    layer(torch.randn(2, 8, 5, 5)).square().mean().backward()
    moving = {n for n, p in layer.named_parameters() if p.grad is not None and p.grad.abs().max() > 0}
    zero = "core" if kernel == 3 else "factor_in"
    assert moving == (adapters | {"shell.bias"} if fade == "residual" else {zero, "shell.bias"})


def test_full_fade_starts_without_adapter_and_residual_fade_with_the_decomposition() -> None:
    dense, spec = conv()
    weight, factors = dense.weight.detach().clone(), nested_bases(spec, dense.weight).factors(Tucker2(4, 3))
    for fade, expected in (("full", torch.zeros_like(weight)), ("residual", factors.kernel())):
        layer = ProgressiveLayer.of(copy.deepcopy(dense), factors, fade)  # type: ignore[arg-type]
        layer.decay = 0.0
        torch.testing.assert_close(layer.kernel(), expected)
        torch.testing.assert_close(layer.shell.weight, weight - expected)
    torch.testing.assert_close(factors.kernel(), nested_bases(spec, weight).factors(Tucker2(4, 3)).kernel())


def test_kernel_is_composed_in_float32_under_autocast() -> None:
    dense, spec = conv(16)
    layer = ProgressiveLayer.of(dense, nested_bases(spec, dense.weight).factors(Tucker2(8, 8)))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        inside, output = layer.kernel(), layer(torch.randn(1, 16, 9, 9))
    assert torch.equal(inside, layer.kernel())
    assert inside.dtype == torch.float32
    assert output.dtype == torch.bfloat16


def test_prefers_factors_by_what_is_counted() -> None:
    dense, spec = conv(64)
    bases = nested_bases(spec, dense.weight)
    image, pixel = torch.zeros(2, 64, 16, 16), torch.zeros(1, 64, 1, 1)
    preferred = {}
    for rank in (2, 60):
        layer = ProgressiveLayer.of(copy.deepcopy(dense), bases.factors(Tucker2(rank, rank)))
        for layer.decay in (1.0, 0.0):
            preferred |= {(rank, layer.decay, len(x.flatten())): layer.prefers_factors(x) for x in (image, pixel)}
    assert preferred[2, 0.0, image.numel()]  # thin, and the residual is gone
    assert not preferred[60, 0.0, image.numel()]  # hardly thinner than dense
    assert not preferred[2, 1.0, image.numel()]  # the residual must be run anyway: compose it in
    assert preferred[60, 1.0, pixel.numel()]  # composing costs more than the whole layer


@pytest.mark.parametrize(
    "module", [nn.ReLU(), nn.Conv2d(4, 4, 3, groups=2), nn.Conv1d(2, 2, 3)], ids=lambda m: type(m).__name__
)
def test_refuses_other_modules(module: nn.Module) -> None:
    dense, spec = conv()
    with pytest.raises(NetworkError, match="groups = 1"):
        ProgressiveLayer.of(module, nested_bases(spec, dense.weight).factors(Tucker2(1, 1)))


def test_repr_says_ranks_and_decay() -> None:
    dense, spec = conv()
    layer = ProgressiveLayer.of(dense, nested_bases(spec, dense.weight).factors(Tucker2(4, 3)))
    assert "rank_out=4, rank_in=3), decay=1" in repr(layer)


def test_it_may_be_called_by_keyword_as_torchs_own_layers() -> None:
    torch.manual_seed(0)
    dense, x = nn.Conv2d(3, 4, 3), torch.randn(2, 3, 5, 5)
    spec = LayerSpec(name="l", kind="conv2d", channels_out=4, channels_in=3, kernel=(3, 3), bias=True)
    bases = nested_bases(spec, dense.weight)
    layer = ProgressiveLayer.of(copy.deepcopy(dense), bases.factors(Tucker2(2, 2)), "residual")
    assert torch.equal(layer(input=x), layer(x))
    elastic = ElasticLayer(copy.deepcopy(dense), bases)
    assert torch.equal(elastic(input=x), elastic(x))

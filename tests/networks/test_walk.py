"""The walk on networks we did not write, and on one with every oddity: reasons, costs, equality at full rank."""

import copy
from collections.abc import Callable
from typing import Any

import pytest
import torch
import torchvision
from torch import Tensor, nn
from torch.nn import functional as F

from ranksearch.decomposition import deploy, network_bases
from ranksearch.errors import NetworkError, RankError
from ranksearch.layers import Form, NetworkSpec, RankConfiguration, Svd, Tucker2, full_ranks, network_cost
from ranksearch.networks.walk import walk


class OwnForward(nn.Linear):
    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x) * 2


class Renamed(nn.Conv2d):
    """A subclass that changes nothing: compressed."""


class Odd(nn.Module):
    """One of everything that a walk must see through."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 8, 3, padding=1, padding_mode="reflect")
        self.twice = nn.Conv2d(8, 8, 3, padding=2, dilation=2)
        self.pool = nn.MaxPool2d(2)
        self.alias = self.twice
        self.grouped = nn.Conv2d(8, 8, 3, padding=1, groups=4)
        self.depthwise = nn.Conv2d(8, 8, 3, padding=1, groups=8)
        self.norm = nn.BatchNorm2d(8)
        self.up = nn.ConvTranspose2d(8, 6, 2, stride=2)
        self.renamed = Renamed(6, 6, (1, 3), stride=(1, 2), bias=False)
        self.pointwise = nn.Conv2d(6, 8, 1)
        self.attention = nn.MultiheadAttention(8, 2, batch_first=True)
        self.line = nn.Conv1d(8, 8, 3, padding=1)
        self.volume = nn.Conv3d(8, 8, 1)
        self.embedding = nn.Embedding(10, 8)
        self.decoder = nn.Linear(8, 10, bias=False)
        self.decoder.weight = self.embedding.weight
        self.functional = nn.Linear(8, 8)
        self.peeked = nn.Linear(8, 8)
        self.weight_normed = nn.utils.parametrizations.weight_norm(nn.Linear(8, 8))
        self.spectral = nn.utils.spectral_norm(nn.Conv2d(8, 8, 3))
        self.hooked = nn.Linear(8, 8)
        self.hooked.register_forward_hook(lambda *_: None)
        self.own = OwnForward(8, 8)
        self.recurrent = nn.LSTM(8, 8, batch_first=True)
        self.tiny = nn.Linear(8, 1)
        self.unused = nn.Linear(8, 8)
        self.unwanted = nn.Linear(8, 8)
        self.head = nn.Linear(8, 4)
        self.register_buffer("calls", torch.zeros(()))

    def forward(self, x: Tensor) -> Tensor:
        self.calls += 1
        x = x.to(next(self.parameters()).device)  # looks at the first layer's weight, harmlessly
        x = self.pool(self.twice(self.stem(x)))
        x = self.norm(self.depthwise(self.grouped(self.alias(x)))).relu()
        x = self.pointwise(self.renamed(self.up(x)))
        x = self.spectral(x).flatten(2)
        x = self.volume(self.line(x)[..., None, None]).flatten(2).mT
        x = self.attention(x, x, x)[0]
        x = F.linear(x, self.functional.weight, self.functional.bias)
        x = self.peeked(x.to(self.peeked.weight.dtype))
        x = self.own(self.hooked(self.weight_normed(x)))
        x = self.recurrent(x)[0].mean(1)
        x = x + self.embedding(self.decoder(x).argmax(-1)) + self.tiny(x)
        return self.head(self.unwanted(x)) + torch.rand(())


REASONS = {
    "grouped": "grouped convolution (groups = 4)",
    "depthwise": "depthwise convolution (groups = 8)",
    "up": "transposed convolutions are not compressed",
    "attention": "MultiheadAttention is not compressed",
    "attention.out_proj": "its weight is read outside its own forward",
    "line": "Conv1d is not compressed",
    "volume": "Conv3d is not compressed",
    "embedding": "Embedding is not compressed",
    "decoder": "weight tied with 'embedding'",
    "functional": "its weight is read outside its own forward",
    "peeked": "its weight is read outside its own forward",
    "weight_normed": "its weight is parametrised: computed from other parameters",
    "spectral": "its weight is parametrised: computed from other parameters",
    "hooked": "it has hooks of its own, which a replacement would lose",
    "own": "OwnForward has a forward of its own",
    "recurrent": "LSTM is not compressed",
    "tiny": "it has no ranks to choose: rank 1 is already all of it",
    "unused": "it is never called in the forward pass",
    "unwanted": "excluded by the study",
}
IMAGE = torch.randn(1, 3, 12, 12)


@pytest.fixture
def odd() -> Odd:
    torch.manual_seed(0)
    return Odd()


def at_full_rank(network: nn.Module, spec: NetworkSpec, form: Form) -> nn.Module:
    """A copy in which every compressible layer is replaced by its deployment at full rank."""
    copied = copy.deepcopy(network)
    for name, bases in network_bases(network, spec).items():
        full = full_ranks(spec[name])
        dense: Any = network.get_submodule(name)
        made = deploy(dense, bases.factors(Tucker2(*full) if len(full) == 2 else Svd(*full)), form)
        for alias, module in network.named_modules(remove_duplicate=False):
            if module is dense:
                copied.set_submodule(alias, made)
    return copied


def test_every_oddity_has_its_reason(odd: Odd) -> None:
    spec = walk(odd, IMAGE, exclude=["unw*"])
    assert {left.name: left.reason for left in spec.left_dense} == REASONS
    assert spec.names == ("stem", "twice", "renamed", "pointwise", "head")
    assert spec.params == sum(p.numel() for p in odd.parameters())
    assert {left.name: left.params for left in spec.left_dense}["weight_normed"] == 8 * 8 + 8 + 8
    assert spec.fixed_params > 0


def test_positions_of_a_module_used_twice_are_summed(odd: Odd) -> None:
    twice = walk(odd, IMAGE)["twice"]
    assert twice.positions_in == twice.positions_out == 12 * 12 + 6 * 6


def test_shapes_and_positions(odd: Odd) -> None:
    spec = walk(odd, IMAGE.expand(3, -1, -1, -1))  # one image of a larger batch
    assert spec.input_shape == (3, 12, 12)
    renamed = spec["renamed"]
    assert (renamed.kernel, renamed.stride, renamed.bias) == ((1, 3), (1, 2), False)
    assert (renamed.positions_in, renamed.positions_out) == (12 * 12, 12 * 5)
    assert spec["head"].kind == "linear"


def test_macs_of_what_is_left_dense(odd: Odd) -> None:
    spec = walk(odd, IMAGE)
    macs = {left.name: left.macs for left in spec.left_dense}
    rows = 10 * 3  # pixels after the spectral convolution
    assert macs["grouped"] == 8 * 2 * 9 * 36
    assert macs["up"] == 8 * 6 * 4 * 36
    assert macs["line"] == 8 * 8 * 3 * rows
    assert macs["attention"] == 4 * 8 * 8 * rows
    assert macs["functional"] == macs["weight_normed"] == macs["own"] == 8 * 8 * rows
    assert macs["decoder"] == 80
    assert macs["embedding"] == macs["unused"] == 0
    assert spec.fixed_macs == sum(macs.values())


def test_the_network_is_left_untouched(odd: Odd) -> None:
    odd.norm.eval()
    modes = [module.training for module in odd.modules()]
    state = copy.deepcopy(odd.state_dict())
    generator = torch.get_rng_state()
    walk(odd, IMAGE)
    assert [module.training for module in odd.modules()] == modes
    assert all(torch.equal(value, state[key]) for key, value in odd.state_dict().items())
    assert torch.equal(torch.get_rng_state(), generator)
    assert len(odd.hooked._forward_hooks) == 1
    assert not odd.stem._forward_hooks
    assert not odd.stem._forward_pre_hooks


@pytest.mark.parametrize("form", ["plain", "pivoted"])
def test_full_rank_changes_nothing(odd: Odd, form: Form) -> None:
    odd.eval()
    replaced = at_full_rank(odd, walk(odd, IMAGE), form)
    assert replaced.twice is replaced.alias
    torch.manual_seed(1)
    expected = odd(IMAGE)
    torch.manual_seed(1)
    torch.testing.assert_close(replaced(IMAGE), expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("factory", "params", "macs", "compressed", "left"),
    [
        # counts as torchvision prints them (its GFLOPS are multiply-accumulates)
        (torchvision.models.resnet18, 11_689_512, 1.814e9, 21, set()),
        (torchvision.models.mobilenet_v3_small, 2_542_856, 0.0565e9, 43, {"depthwise"}),
    ],
)
def test_networks_of_torchvision(
    factory: Callable[..., nn.Module], params: int, macs: float, compressed: int, left: set[str]
) -> None:
    torch.manual_seed(0)
    network, image = factory(weights=None).eval(), torch.randn(1, 3, 224, 224)
    spec = walk(network, image)
    assert (spec.params, len(spec.layers)) == (params, compressed)
    assert spec.macs == pytest.approx(macs, rel=1e-3)
    assert {layer.reason.split()[0] for layer in spec.left_dense} == left
    small = image[:, :, :64, :64]
    with torch.no_grad():
        replaced = at_full_rank(network, spec, "pivoted")
        torch.testing.assert_close(replaced(small), network(small), rtol=1e-3, atol=1e-4)


def test_costs_are_those_of_the_network_built() -> None:
    network = nn.Sequential(
        nn.Conv2d(3, 8, 3, stride=2, padding=1), nn.BatchNorm2d(8), nn.ReLU(), nn.Conv2d(8, 6, 1), nn.Flatten(),
        nn.Linear(6 * 36, 5),
    )  # fmt: skip
    spec = walk(network, IMAGE)
    configuration = RankConfiguration({"0": Tucker2(4, 2), "3": Svd(2), "5": Svd(3)})
    bases = network_bases(network, spec)
    for form in ("plain", "pivoted"):
        built = copy.deepcopy(network)
        for name, ranks in configuration.layers.items():
            dense: Any = network.get_submodule(name)
            built.set_submodule(name, deploy(dense, bases[name].factors(ranks), form))
        cost = network_cost(spec, configuration, form)
        assert cost.params == sum(p.numel() for p in built.parameters())
        assert cost.macs == walk(built, IMAGE).macs


def test_include_and_exclude() -> None:
    network = nn.Sequential(nn.Linear(8, 8), nn.Linear(8, 8), nn.Linear(8, 8))
    spec = walk(network, torch.randn(1, 8), include=["[01]"], exclude=["1"])
    assert spec.names == ("0",)
    assert [left.reason for left in spec.left_dense] == ["excluded by the study", "not included by the study"]


def test_globs_match_a_shared_module_by_any_of_its_names(odd: Odd) -> None:
    assert "twice" not in walk(odd, IMAGE, exclude=["alias"]).names


@pytest.mark.parametrize("key", ["include", "exclude"])
def test_a_glob_that_matches_nothing_is_an_error(odd: Odd, key: str) -> None:
    with pytest.raises(RankError, match=rf"{key}: 'pointwize' matches no layer.*pointwise"):
        walk(odd, IMAGE, **{key: ["pointwize"]})


def test_a_forward_that_fails_is_named() -> None:
    network = nn.Sequential(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8)).train()
    with pytest.raises(NetworkError, match=r"shape \(1, 4, 12, 12\): RuntimeError: .*channels"):
        walk(network, torch.randn(1, 4, 12, 12))
    assert network[1].training
    assert not network[0]._forward_hooks


@pytest.mark.parametrize(
    ("network", "reason"),
    [
        (nn.Sequential(nn.Conv2d(3, 3, 3, groups=3)), "0: depthwise"),
        (nn.Sequential(nn.ReLU()), "no weights at all"),
        (nn.Conv2d(3, 8, 3), "itself: it is the network itself: put it into an nn.Sequential"),
        (nn.Sequential(nn.Conv2d(3, 8, 3, dtype=torch.complex64)), "forward pass fails"),
        (nn.Sequential(nn.Conv2d(3, 8, 3).half()), r"weights in torch.float16: convert it by \.float\(\) first"),
        (nn.Sequential(nn.LazyConv2d(8, 3)), "lazy layers"),
    ],
)
def test_a_network_without_compressible_layers(network: nn.Module, reason: str) -> None:
    with pytest.raises(NetworkError, match=reason):
        walk(network, IMAGE)


def test_a_lazy_convolution_never_learns_its_channels_from_a_file() -> None:
    network = nn.Sequential(nn.LazyConv2d(8, 3))
    network.load_state_dict({"0.weight": torch.randn(8, 3, 3, 3), "0.bias": torch.randn(8)})
    with pytest.raises(NetworkError, match="lazy layers that have seen no input yet"):
        walk(network, IMAGE)


def test_a_weight_that_is_not_floating_point() -> None:
    network = nn.Sequential(nn.Linear(4, 4), nn.Linear(4, 4, dtype=torch.complex64))
    spec = walk(nn.Sequential(network[0], To(torch.complex64), network[1]), torch.randn(1, 4))
    assert [left.reason for left in spec.left_dense] == ["its weight is complex64, not a floating-point type"]


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_a_layer_of_reduced_precision_stays_dense(dtype: torch.dtype) -> None:
    network = nn.Sequential(nn.Conv2d(3, 8, 3), To(dtype), nn.Conv2d(8, 8, 3, dtype=dtype))
    spec = walk(network, IMAGE)
    name = str(dtype).removeprefix("torch.")
    assert spec.names == ("0",)
    assert [left.reason for left in spec.left_dense] == [f"its weight is {name}; convert the network to float32 first"]


class To(nn.Module):
    def __init__(self, dtype: torch.dtype) -> None:
        super().__init__()
        self.dtype = dtype

    def forward(self, x: Tensor) -> Tensor:
        return x.to(self.dtype)


def test_a_weight_kept_in_a_plain_list_is_seen() -> None:
    class Listed(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first, self.second = nn.Linear(4, 4), nn.Linear(4, 4)
            self.weights = [self.first.weight]

        def forward(self, x: Tensor) -> Tensor:
            return self.second(self.first(x)) @ torch.stack(self.weights)[0]

    assert walk(Listed(), torch.randn(1, 4)).names == ("second",)


def test_a_layer_read_by_the_fast_path_of_a_transformer_stays_dense() -> None:
    network = nn.Sequential(nn.Linear(8, 8), nn.TransformerEncoderLayer(8, 2, 16, batch_first=True))
    spec = walk(network, torch.randn(1, 5, 8))
    assert spec.names == ("0",)
    assert "set_fastpath_enabled(False)" in {left.name: left.reason for left in spec.left_dense}["1.linear1"]
    network.eval()
    x = torch.randn(2, 5, 8)
    torch.testing.assert_close(at_full_rank(network, spec, "pivoted")(x), network(x), rtol=1e-4, atol=1e-5)


def test_without_the_fast_path_its_linear_layers_are_compressed(monkeypatch: pytest.MonkeyPatch) -> None:
    """As the reason says."""
    monkeypatch.setattr("torch.backends.mha._is_fastpath_enabled", True)  # what is set is undone
    network = nn.Sequential(nn.Linear(8, 8), nn.TransformerEncoderLayer(8, 2, 16, batch_first=True)).eval()
    x = torch.randn(2, 5, 8)
    expected = network(x)
    torch.backends.mha.set_fastpath_enabled(False)
    spec = walk(network, x)
    assert {"1.linear1", "1.linear2"} <= set(spec.names)
    torch.testing.assert_close(at_full_rank(network, spec, "pivoted")(x), expected, rtol=1e-4, atol=1e-5)

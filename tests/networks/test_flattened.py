"""Linear layers after a flatten as kernels: found where they are, computing the same, compressed as convolutions."""

from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

from ranksearch.decomposition import deploy, network_bases
from ranksearch.errors import NetworkError, RankError
from ranksearch.layers import Form, Svd, Tucker2, layer_params
from ranksearch.networks import flattened_layers, take_as_kernels, walk, with_linear_layers
from ranksearch.networks.flattened import FlattenedKernel

X = torch.randn(2, 3, 6, 5, generator=torch.Generator().manual_seed(0))


class Net(nn.Module):
    """Flattens by ``how``, then two linear layers; the second does not follow a flatten."""

    def __init__(self, how: Any, bias: bool = True) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 8, 3)
        self.how = how
        self.first = nn.Linear(8 * 4 * 3, 20, bias=bias)
        self.second = nn.Linear(20, 6)

    def forward(self, x: Tensor) -> Tensor:
        return self.second(self.first(self.how(self.conv(x).relu())).relu())


def flattens() -> dict[str, Any]:
    return {
        "module": nn.Flatten(),
        "method": lambda x: x.flatten(1),
        "function": lambda x: torch.flatten(x, 1),
        "view": lambda x: x.view(len(x), -1),
        "reshape": lambda x: x.reshape(x.shape[0], -1),
        "a copy": lambda x: x.contiguous(memory_format=torch.channels_last).flatten(1),
        "dropout between": nn.Sequential(nn.Flatten(), nn.Dropout()),
        "in place between": nn.Sequential(nn.Flatten(), nn.ReLU(inplace=True)),
    }


def kernel_network(network: nn.Module) -> nn.Module:
    return take_as_kernels(network, flattened_layers(network, walk(network, X), X)).eval()


@pytest.mark.parametrize("how", flattens())
def test_it_is_found_however_the_images_are_flattened(how: str) -> None:
    network = Net(flattens()[how])
    assert flattened_layers(network, walk(network, X), X) == {"first": (8, 4, 3)}


@pytest.mark.parametrize("bias", [True, False])
def test_the_network_computes_the_same_as_before_and_after(bias: bool) -> None:
    network = Net(nn.Flatten(), bias).eval()
    kernels = kernel_network(network)
    torch.testing.assert_close(kernels(X), network(X))
    assert isinstance(network.first, nn.Linear), "the user's network changed"
    back = with_linear_layers(kernels)
    assert {k: tuple(v.shape) for k, v in back.state_dict().items()} == {
        k: tuple(v.shape) for k, v in network.state_dict().items()
    }
    assert torch.equal(back(X), network(X))


def test_what_its_owner_froze_stays_frozen_there_and_back() -> None:
    network = Net(nn.Flatten())
    network.first.weight.requires_grad_(False)
    kernels = kernel_network(network)
    for made, name in ((kernels, "first.kernel.weight"), (with_linear_layers(kernels), "first.weight")):
        assert [n for n, parameter in made.named_parameters() if not parameter.requires_grad] == [name]


def test_the_walk_sees_a_convolution_of_equal_cost() -> None:
    network = Net(nn.Flatten())
    before, after = walk(network, X), walk(kernel_network(network), X)
    assert (after.params, after.macs) == (before.params, before.macs)
    assert after.names == ("conv", "first.kernel", "second")
    assert after["first.kernel"].kernel == (4, 3)
    assert after.flattened == {"first": (8, 4, 3)}
    assert before.flattened == {}


def test_globs_mean_it_by_either_name() -> None:
    network = kernel_network(Net(nn.Flatten()))
    for glob in ("first", "first.kernel"):
        assert walk(network, X, include=(glob,)).names == ("first.kernel",)
        assert "first.kernel" not in walk(network, X, exclude=(glob,)).names


@given(st.integers(1, 12), st.integers(1, 8), st.sampled_from(["plain", "pivoted"]))
def test_any_ranks_of_it_are_a_tucker_2_of_the_kernel(rank_out: int, rank_in: int, form: Form) -> None:
    network = kernel_network(Net(nn.Flatten()))
    spec = walk(network, X)
    ranks, kernel = Tucker2(rank_out, rank_in), network.get_submodule("first.kernel")
    factors = network_bases(network, spec)["first.kernel"].factors(ranks)
    deployed = deploy(kernel, factors, form)
    assert sum(p.numel() for p in deployed.parameters()) == layer_params(spec["first.kernel"], ranks, form)
    images = torch.randn(2, 8, 4, 3)
    expected = nn.functional.conv2d(images, factors.kernel().reshape(20, 8, 4, 3), kernel.bias)  # type: ignore[arg-type]
    torch.testing.assert_close(deployed(images), expected, rtol=1e-3, atol=1e-4)


def test_its_smallest_form_is_below_that_of_the_matrix() -> None:
    network = Net(nn.Flatten())
    linear, kernel = walk(network, X)["first"], walk(kernel_network(network), X)["first.kernel"]
    assert layer_params(kernel, Tucker2(1, 1), "plain") == 8 + 12 + 20 + 20  # factors, core, bias
    assert layer_params(linear, Svd(1), "plain") == 96 + 20 + 20
    assert layer_params(kernel, Tucker2(1, 1), "pivoted") < layer_params(linear, Svd(1), "pivoted")


def test_a_network_without_one_is_refused() -> None:
    pooled = nn.Sequential(nn.Conv2d(3, 8, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 4))
    with pytest.raises(NetworkError, match="no compressible linear layer follows a flatten"):
        flattened_layers(pooled, walk(pooled, X), X)
    excluded = Net(nn.Flatten())
    with pytest.raises(NetworkError, match="no compressible linear layer follows a flatten"):
        flattened_layers(excluded, walk(excluded, X, exclude=("first",)), X)


def test_shapes_of_another_network_are_refused_by_layer_and_numbers() -> None:
    network = Net(nn.Flatten())
    with pytest.raises(RankError, match=r"Net has no linear layer 'first' of 8·4·4 inputs"):
        take_as_kernels(network, {"first": (8, 4, 4)})
    with pytest.raises(RankError, match=r"no linear layer 'conv' of 8·4·3 inputs .* but Conv2d"):
        take_as_kernels(network, {"conv": (8, 4, 3)})


def test_what_is_taken_already_stays() -> None:
    once = kernel_network(Net(nn.Flatten()))
    again = take_as_kernels(once, {"first": (8, 4, 3)})
    assert isinstance(again.get_submodule("first"), FlattenedKernel)
    assert torch.equal(again(X), once(X))

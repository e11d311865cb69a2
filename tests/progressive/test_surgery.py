"""Networks with progressive layers compute what the dense one does at decay 1 and what is deployed at decay 0."""

import copy
from collections.abc import Callable

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from ranksearch.decomposition import NestedBases
from ranksearch.errors import NetworkError, RankError
from ranksearch.layers import Dense, LayerRanks, RankConfiguration, Svd, Tucker2, project
from ranksearch.progressive import ProgressiveLayer, attach, collapse, progressive_layers, set_decay
from ranksearch.records import NO_DECAY, SCHEDULES, DecaySchedule
from ranksearch.records.schedule import ORDERS

Bases = dict[str, NestedBases]
X = torch.randn(5, 3, 8, 8, generator=torch.Generator().manual_seed(3))
PROPERTY = settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def state(network: nn.Module) -> dict[str, Tensor]:
    return {name: tensor.clone() for name, tensor in network.state_dict().items()}


def unchanged(network: nn.Module, before: dict[str, Tensor]) -> bool:
    now = network.state_dict()
    return now.keys() == before.keys() and all(torch.equal(now[name], before[name]) for name in before)


@given(data=st.data(), fade=st.sampled_from(["residual", "full"]), form=st.sampled_from(["plain", "pivoted"]))
@PROPERTY
def test_decay_one_is_dense_and_decay_zero_is_collapsed(
    network: nn.Module, bases: Bases, data: st.DataObject, fade: str, form: str
) -> None:
    before = state(network)
    chosen: dict[str, LayerRanks] = {}
    for name, base in bases.items():
        if data.draw(st.booleans()):
            chosen[name] = project(base.spec, tuple(data.draw(st.integers(1, 10)) for _ in base.spec.modes), "pivoted")
    progressive = attach(network, bases, RankConfiguration(chosen), fade)  # type: ignore[arg-type]
    torch.testing.assert_close(progressive(X), network(X), rtol=1e-4, atol=1e-5)
    assert unchanged(network, before)

    compressed = {name for name, ranks in chosen.items() if not isinstance(ranks, Dense)}
    assert set(progressive_layers(progressive)) == compressed
    with torch.no_grad():
        for parameter in progressive.parameters():
            parameter.add_(0.02 * torch.randn_like(parameter))
    set_decay(progressive, NO_DECAY, 0.0)
    during = state(progressive)
    collapsed = collapse(progressive, form)  # type: ignore[arg-type]
    torch.testing.assert_close(collapsed(X), progressive(X), rtol=1e-3, atol=1e-4)
    assert not progressive_layers(collapsed)
    assert unchanged(progressive, during)


def test_layers_left_dense_are_untouched(network: nn.Module, bases: Bases) -> None:
    configuration = RankConfiguration({"stem": Tucker2(3, 2), "head": Dense("excluded")})
    progressive = attach(network, bases, configuration)
    assert type(progressive.body) is nn.Conv2d
    assert type(progressive.head) is nn.Linear
    assert list(progressive_layers(progressive)) == ["stem"]


def test_depth_runs_along_the_network_whatever_the_configurations_order(network: nn.Module, bases: Bases) -> None:
    ranks: dict[str, LayerRanks] = {"head": Svd(2), "point": Svd(1), "stem": Tucker2(2, 2)}
    progressive = attach(network, bases, RankConfiguration(ranks))
    assert {name: layer.depth for name, layer in progressive_layers(progressive).items()} == {
        "stem": 0.0, "point": 0.5, "head": 1.0,
    }  # fmt: skip
    alone = attach(network, bases, RankConfiguration({"head": Svd(2)}))
    assert progressive_layers(alone)["head"].depth == 0.0


@pytest.mark.parametrize("shape", SCHEDULES)
@pytest.mark.parametrize("order", ORDERS)
def test_set_decay_follows_the_schedule(
    network: nn.Module, bases: Bases, configuration: RankConfiguration, shape: str, order: str
) -> None:
    progressive = attach(network, bases, configuration)
    schedule = DecaySchedule(shape=shape, order=order, end=0.8)  # type: ignore[arg-type]
    for progress in (0.0, 0.3, 0.5, 0.8, 1.0):
        largest = set_decay(progressive, schedule, progress)
        layers = list(progressive_layers(progressive).values())
        assert [layer.decay for layer in layers] == [schedule.decay(progress, i / 3) for i in range(4)]
        assert largest == max(layer.decay for layer in layers)
    assert largest == 0.0


def test_set_decay_of_a_dense_network_is_zero(network: nn.Module) -> None:
    assert set_decay(network, DecaySchedule(shape="linear"), 0.0) == 0.0


class Shared(nn.Module):
    """One convolution under two names, in a list as well."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Conv2d(3, 3, 3, padding=1)
        self.again = self.first
        self.steps = nn.Sequential(nn.ReLU(), self.first)

    def forward(self, x: Tensor) -> Tensor:
        return self.steps(self.again(self.first(x)))


def test_a_shared_module_stays_one_module(bases_of: Callable[..., Bases]) -> None:
    network = Shared()
    progressive = attach(network, bases_of(network, "first"), RankConfiguration({"first": Tucker2(2, 2)}))
    assert isinstance(progressive.first, ProgressiveLayer)
    assert progressive.first is progressive.again is progressive.steps[1]
    torch.testing.assert_close(progressive(X), network(X), rtol=1e-4, atol=1e-5)
    set_decay(progressive, NO_DECAY, 0.0)
    collapsed = collapse(progressive, "pivoted")
    assert collapsed.first is collapsed.again is collapsed.steps[1]
    torch.testing.assert_close(collapsed(X), progressive(X), rtol=1e-4, atol=1e-5)


def test_a_network_that_is_one_layer(bases_of: Callable[..., Bases]) -> None:
    network = nn.Linear(6, 5)
    progressive = attach(network, bases_of(network, ""), RankConfiguration({"": Svd(2)}))
    assert isinstance(progressive, ProgressiveLayer)
    set_decay(progressive, NO_DECAY, 0.0)
    x = torch.randn(3, 6)
    torch.testing.assert_close(collapse(progressive, "plain")(x), progressive(x))


def test_unknown_names_and_illegal_ranks_are_refused(network: nn.Module, bases: Bases) -> None:
    with pytest.raises(RankError, match="no compressible layer 'tail' in Small; it has stem, body, point, head"):
        attach(network, bases, RankConfiguration({"tail": Svd(2)}))
    with pytest.raises(RankError, match="'head'"):
        attach(network, bases, RankConfiguration({"head": Svd(5)}))
    attach(network, bases, RankConfiguration({"norm": Dense("not compressible")}))


def test_collapse_refuses_a_remaining_residual(
    network: nn.Module, bases: Bases, configuration: RankConfiguration
) -> None:
    progressive = attach(network, bases, configuration)
    set_decay(progressive, DecaySchedule(shape="linear", order="back-to-front", end=1.0), 0.9)
    with pytest.raises(NetworkError, match=r"'stem' cannot collapse at λ = 0\.2"):
        collapse(progressive, "plain")


def test_collapsed_is_in_evaluation_mode_and_copies_with_pickle_free_state(
    network: nn.Module, bases: Bases, configuration: RankConfiguration
) -> None:
    progressive = attach(network, bases, configuration).train()
    set_decay(progressive, NO_DECAY, 0.0)
    collapsed = collapse(progressive, "pivoted")
    assert not any(module.training for module in collapsed.modules())
    assert progressive.training
    again = copy.deepcopy(collapsed)
    again.load_state_dict(collapsed.state_dict())
    assert torch.equal(again(X), collapsed(X))


@pytest.mark.parametrize("fade", ["residual", "full"])
def test_float64_stays_float64(network: nn.Module, bases_of: Callable[..., Bases], fade: str) -> None:
    network = network.double()
    names = ("stem", "body", "point", "head")
    configuration = RankConfiguration({"stem": Tucker2(4, 3), "body": Tucker2(5, 4), "point": Svd(4), "head": Svd(3)})
    progressive = attach(network, bases_of(network, *names), configuration, fade)  # type: ignore[arg-type]
    torch.testing.assert_close(progressive(X.double()), network(X.double()), rtol=1e-10, atol=1e-12)
    set_decay(progressive, NO_DECAY, 0.0)
    for form in ("plain", "pivoted"):
        collapsed = collapse(progressive, form)  # type: ignore[arg-type]
        assert {p.dtype for p in collapsed.parameters()} == {torch.float64}
        torch.testing.assert_close(collapsed(X.double()), progressive(X.double()), rtol=1e-10, atol=1e-12)

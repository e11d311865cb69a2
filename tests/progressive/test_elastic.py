"""Every slice of an elastic adapter starts as its error table says, nests, and learns in its leading blocks alone."""

import copy
from collections.abc import Callable, Iterator

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from ranksearch.decomposition import Factors, NestedBases, nested_bases
from ranksearch.errors import NetworkError, RankError
from ranksearch.layers import Dense, LayerRanks, LayerSpec, RankConfiguration, Svd, Tucker2, full_ranks, project
from ranksearch.networks import Examples
from ranksearch.progressive import (
    Elastic,
    ElasticLayer,
    FineTuned,
    Teacher,
    adapter,
    attach,
    collapse,
    elastic,
    elastic_layers,
    fine_tune,
    make_elastic,
    reestimate_batch_norm,
    set_decay,
    set_slice,
)
from ranksearch.progressive.learning import learning_parameters
from ranksearch.records import NO_DECAY, Recipe

Bases = dict[str, NestedBases]
X = torch.randn(5, 3, 8, 8, generator=torch.Generator().manual_seed(3))
PROPERTY = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def covariance(size: int) -> Tensor:
    root = torch.randn(size, size, dtype=torch.float64)
    return root @ root.T / size + 0.05 * torch.eye(size, dtype=torch.float64)


@st.composite
def layers(draw: st.DrawFn) -> tuple[nn.Conv2d | nn.Linear, ElasticLayer]:
    """A dense layer and the elastic one made of it, under random covariances or none."""
    torch.manual_seed(draw(st.integers(0, 999)))
    channels_in, channels_out = draw(st.integers(1, 6)), draw(st.integers(1, 6))
    kernel = draw(st.sampled_from([(3, 3), (1, 2), (1, 1), None]))
    dense: nn.Conv2d | nn.Linear
    dense = nn.Conv2d(channels_in, channels_out, kernel) if kernel else nn.Linear(channels_in, channels_out)
    kind = "conv2d" if kernel else "linear"
    spec = LayerSpec(
        name="l", kind=kind, channels_out=channels_out, channels_in=channels_in, kernel=kernel or (1, 1), bias=True
    )
    sigma = covariance(channels_in * spec.kernel_size) if draw(st.booleans()) else None
    gamma = covariance(channels_out) if draw(st.booleans()) else None
    bases = nested_bases(spec, dense.weight, sigma, gamma)
    return dense, ElasticLayer.of(copy.deepcopy(dense), bases)


def legal(data: st.DataObject, spec: LayerSpec) -> LayerRanks:
    """Any legal ranks, full ones too."""
    if spec.format == "svd":
        return Svd(data.draw(st.integers(1, full_ranks(spec)[0])))
    rank_out = data.draw(st.integers(1, full_ranks(spec)[0]))
    low = -(-rank_out // spec.kernel_size)
    return Tucker2(rank_out, data.draw(st.integers(low, min(spec.channels_in, spec.kernel_size * rank_out))))


def moved(network: nn.Module) -> nn.Module:
    """After some training."""
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    return network


def parts(factors: Factors) -> list[Tensor]:
    found = [factors.factor_out, factors.factor_in]
    return found if factors.core is None else [*found, factors.core]


@given(layers(), st.data())
@PROPERTY
def test_every_slice_starts_as_its_error_table_says(made: tuple[nn.Module, ElasticLayer], data: st.DataObject) -> None:
    dense, layer = made
    ranks = legal(data, layer.bases.spec)
    start, expected = layer.slice(ranks), layer.bases.factors(ranks)
    assert start.ranks == ranks
    for a, b in zip(parts(start), parts(expected), strict=True):
        assert torch.equal(a, b)
    shape = dense.weight.shape
    torch.testing.assert_close(layer.slice(_full(layer)).kernel().reshape(shape), dense.weight, rtol=1e-3, atol=1e-4)


def _full(layer: ElasticLayer) -> LayerRanks:
    full = full_ranks(layer.bases.spec)
    return Svd(*full) if len(full) == 1 else Tucker2(*full)


@given(layers(), st.data())
@PROPERTY
def test_slices_nest_and_only_leading_blocks_learn(made: tuple[nn.Module, ElasticLayer], data: st.DataObject) -> None:
    _, layer = made
    moved(layer)
    spec = layer.bases.spec
    ranks = legal(data, spec)
    out, in_ = (ranks.rank, ranks.rank) if isinstance(ranks, Svd) else (ranks.rank_out, ranks.rank_in)
    found, whole = layer.slice(ranks), layer.slice(_full(layer))
    assert torch.equal(found.factor_out, whole.factor_out[:, :out])
    # what training has added to the core, an SVD's factor_in, is one block of one tensor
    added, added_whole = (
        b.factor_in - s.factor_in if s.core is None or b.core is None else b.core - s.core
        for b, s in ((found, layer.bases.factors(ranks)), (whole, layer.bases.factors(_full(layer))))
    )
    block = added_whole[:, :out] if spec.format == "svd" else added_whole[:out, :in_]
    torch.testing.assert_close(added, block, rtol=1e-4, atol=1e-5)
    if spec.format == "tucker2":
        assert torch.equal(found.factor_in, whole.factor_in[:, :in_])

    found.kernel().square().sum().backward()
    blocks = {"factor_out": (slice(None), slice(out)), "factor_in": (slice(None), slice(in_))}
    if spec.format == "tucker2":
        blocks["core"] = (slice(out), slice(in_))
    for name, block_of in blocks.items():
        gradient = getattr(layer, name).grad
        assert gradient[block_of].abs().sum() > 0
        gradient[block_of] = 0
        assert not gradient.any(), name
    for tensor in parts(layer.factors(ranks)):
        assert not tensor.requires_grad
        assert tensor.data_ptr() not in {p.data_ptr() for p in layer.parameters()}


@given(layers(), st.data(), st.sampled_from([1e-9, 1e9]))
@PROPERTY
def test_it_computes_its_slice(
    made: tuple[nn.Conv2d | nn.Linear, ElasticLayer], data: st.DataObject, throughput: float
) -> None:
    dense, layer = made
    x = torch.randn(2, dense.weight.shape[1], *((5, 6) if isinstance(dense, nn.Conv2d) else ()))
    torch.testing.assert_close(layer(x), dense(x), rtol=1e-4, atol=1e-5)  # dense until told otherwise
    moved(layer)
    layer.ranks = legal(data, layer.bases.spec)
    with torch.no_grad():
        dense.weight.copy_(layer.slice(layer.ranks).kernel().reshape(dense.weight.shape))
        assert dense.bias is not None
        dense.bias.copy_(layer.shell.bias)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(adapter, "THIN_THROUGHPUT", throughput)
        torch.testing.assert_close(layer(x), dense(x), rtol=1e-3, atol=1e-4)


def test_few_starts_are_kept(bases: Bases, network: nn.Module) -> None:
    layer = ElasticLayer.of(network.body, bases["body"])
    for rank in range(8, 0, -1):
        for other in range(8, 0, -1):
            layer.slice(Tucker2(rank, other))
    held = sum(start.numel() for start in layer.starts.values())
    assert held <= elastic.KEPT_STARTS * layer.shell.weight.numel()
    assert Tucker2(1, 1) in layer.starts
    assert Tucker2(8, 8) not in layer.starts


def test_what_training_leaves_shares_the_bases_and_forgets_the_starts(bases: Bases, network: nn.Module) -> None:
    made = make_elastic(network, bases)
    layer = elastic_layers(made)["body"]
    layer.slice(Tucker2(2, 2))
    left = Elastic.of(made)
    body = left.bases["body"]
    assert isinstance(body, ElasticLayer)
    assert body.bases is layer.bases
    assert not body.starts
    assert body is not layer
    assert layer.starts


def test_an_elastic_network_is_the_dense_one_until_it_is_sliced(network: nn.Module, bases: Bases) -> None:
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    made = make_elastic(network, bases)
    assert list(elastic_layers(made)) == list(bases)
    torch.testing.assert_close(made(X), network(X))
    assert all(torch.equal(before[name], tensor) for name, tensor in network.state_dict().items())
    assert {n for n, p in made.named_parameters() if any(p is q for q in learning_parameters(made, "adapters"))} == {
        f"{name}.{part}" for name in bases for part in ("core", "factor_out", "factor_in")
    } - {"point.core", "head.core"}


@given(data=st.data())
@PROPERTY
def test_a_start_from_it_is_its_slice(network: nn.Module, bases: Bases, data: st.DataObject) -> None:
    trained = moved(make_elastic(network, bases)).eval()
    chosen = {
        name: project(base.spec, tuple(data.draw(st.integers(1, 10)) for _ in base.spec.modes), "pivoted")
        for name, base in bases.items()
    }
    configuration = RankConfiguration(chosen)
    set_slice(trained, configuration)
    found = Elastic.of(trained)
    assert not elastic_layers(found.network)
    assert list(found.bases) == list(bases)
    start = attach(found.network, found.bases, configuration)
    set_decay(start, NO_DECAY, 0.0)
    torch.testing.assert_close(collapse(start, "pivoted")(X), trained(X), rtol=1e-3, atol=1e-3)
    set_slice(trained, RankConfiguration({}))
    torch.testing.assert_close(found.network(X), trained(X))  # dense weights, the norms and biases of the training


def test_depth_follows_the_networks_order_not_that_of_its_attributes(network: nn.Module, bases: Bases) -> None:
    called = dict(reversed(bases.items()))
    assert list(Elastic.of(make_elastic(network, called)).bases) == list(called)


def test_what_its_owner_froze_is_frozen_afterwards(network: nn.Module, bases: Bases) -> None:
    network.body.weight.requires_grad_(False)
    left = Elastic.of(make_elastic(network, bases)).network
    flags = {name: parameter.requires_grad for name, parameter in left.named_parameters()}
    assert [name for name, learns in flags.items() if not learns] == ["body.weight"]


def test_shared_layers_stay_shared(bases_of: Callable[..., Bases]) -> None:
    shared = nn.Linear(4, 4)
    network = nn.Sequential(shared, nn.ReLU(), shared)
    made = make_elastic(network, bases_of(network, "0"))
    assert made[0] is made[2]
    assert list(elastic_layers(made)) == ["0"]
    set_slice(made, RankConfiguration({"0": Svd(2)}))
    back = Elastic.of(made).network
    assert back[0] is back[2]


def test_what_does_not_fit_is_refused(network: nn.Module, bases: Bases) -> None:
    made = make_elastic(network, bases)
    set_slice(made, RankConfiguration({"elsewhere": Dense("not there")}))
    with pytest.raises(RankError, match="no elastic layer 'elsewhere' in Small; it has stem, body, point, head"):
        set_slice(made, RankConfiguration({"elsewhere": Svd(1)}))
    with pytest.raises(NetworkError, match="only a Conv2d with groups = 1 or a Linear"):
        ElasticLayer.of(nn.Conv2d(4, 4, 3, groups=2), bases["body"])
    with pytest.raises(RankError, match="layer 'stem'"):
        elastic_layers(made)["stem"].slice(Tucker2(9, 9))


def test_two_slices_are_trained_by_summed_gradients_and_both_come_nearer(
    network: nn.Module, bases: Bases, train: Examples
) -> None:
    few = RankConfiguration({name: project(b.spec, (2, 2)[: len(b.spec.modes)], "plain") for name, b in bases.items()})
    more = RankConfiguration({"body": Tucker2(4, 4), "stem": Tucker2(3, 2)})
    network = reestimate_batch_norm(network, train, 96)
    with torch.no_grad():
        network.head.weight.mul_(30)  # an untrained network hardly tells one image from another

    def trained(*slices: RankConfiguration) -> FineTuned:
        def passes(made: nn.Module, step: int) -> Iterator[None]:
            for configuration in slices:
                set_slice(made, configuration)
                yield

        made = make_elastic(network, bases)
        recipe = Recipe(images=60 * 32, batch=32, distillation=1.0, weight_decay=0.0, warmup=0.0)
        return fine_tune(made, train, recipe, teacher=Teacher(network), passes=passes, milestones=(1e-9, 0.1, 1.0))

    first, early, last = (m.loss for m in trained(few, more).milestones)
    alone = [trained(configuration).milestones[0].loss for configuration in (few, more)]
    assert first == pytest.approx(sum(alone) / 2, rel=0.5)  # dropout differs between a first and a second pass
    assert last < 0.7 * early


@pytest.mark.parametrize("optimizer", ["sgd", "adamw"])
def test_one_slice_a_step_may_leave_any_layer_dense(
    network: nn.Module, bases: Bases, train: Examples, optimizer: str
) -> None:
    """A dense layer's factors have no gradient in that step, a start of training included; they learn in the others."""
    some = [RankConfiguration({"body": Tucker2(4, 4)}), RankConfiguration({"stem": Tucker2(3, 2), "head": Svd(2)})]

    def passes(made: nn.Module, step: int) -> Iterator[None]:
        set_slice(made, some[step % 2])
        yield

    made, before = make_elastic(network, bases), make_elastic(network, bases)
    fine_tune(
        made, train, Recipe(images=6 * 32, batch=32, optimizer=optimizer), teacher=Teacher(network), passes=passes
    )
    moved = {
        name
        for name, layer in elastic_layers(made).items()
        if not torch.equal(layer.factor_out, elastic_layers(before)[name].factor_out)
    }
    assert {"stem", "body", "head"} <= moved

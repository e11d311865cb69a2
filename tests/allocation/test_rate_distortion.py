"""Rate–distortion allocation: legal, at the ratio, optimal at hull points, monotone, steered by weights and tilts."""

import itertools
import math
from dataclasses import replace

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import assume, given

from ranksearch.allocation import DISTORTIONS, Profiles, RateDistortion, attainable_ratio
from ranksearch.allocation.choices import Choices
from ranksearch.allocation.rate_distortion import cut
from ranksearch.errors import BudgetError, RankError
from ranksearch.layers import ErrorTable, LayerSpec, full_ranks, is_legal, layer_params, network_cost
from ranksearch.layers.configuration import as_tuple

SEEDS = st.integers(0, 10_000)
FORMS = st.sampled_from(["plain", "pivoted"])
SHARES = st.floats(0, 1)
COSTS = st.sampled_from(["params", "macs"])
KINDS = st.sampled_from([*DISTORTIONS, "measured"])


def distortion_of(kind, network):
    points = [(0.1, 0.01), (0.4, 0.3), (0.7, 0.2)]
    return DISTORTIONS[kind] if kind in DISTORTIONS else Profiles(dict.fromkeys(network.names, points))


def between(low, high, share):
    return low * (high / low) ** share


@given(SEEDS, FORMS, SHARES, st.sampled_from([1, 2, 4]), st.sampled_from(["params", "macs"]), st.data())
def test_legal_multiples_at_the_ratio_and_nothing_left_that_fits(synthetic, seed, form, share, multiple_of, cost, data):
    network, tables = synthetic(seed)
    ratio = between(1.0, attainable_ratio(network, form, multiple_of, cost), share) * (1 - 1e-12)
    ratio = max(1.0, ratio)
    weights = {name: data.draw(st.floats(-2, 2)) for name in network.names}
    tilts = {s.name: data.draw(st.floats(-1, 1)) for s in network.layers if s.format == "tucker2"}
    found = RateDistortion(network, tables, form, multiple_of, cost=cost)(ratio, weights, tilts)

    real = network_cost(network, found, form)
    total, spent = (network.params, real.params) if cost == "params" else (network.macs, real.macs)
    assert total / spent >= ratio * (1 - 1e-12)
    left = math.floor(total / ratio + 1e-9) - spent
    for spec in network.layers:
        ranks = found[spec.name]
        assert is_legal(spec, ranks)
        assert all(r % multiple_of == 0 or r == f for r, f in zip(as_tuple(ranks), full_ranks(spec), strict=False))
        assert as_tuple(ranks) == () or layer_params(spec, ranks, form) < spec.params
        choices = Choices.of(spec, form, multiple_of, cost)
        now = as_tuple(ranks)
        assert all(choices.cost(then) - choices.cost(now) > left for then in choices.steps(now))


@given(SEEDS, FORMS, SHARES, st.lists(st.floats(-2, 2), min_size=3, max_size=3), KINDS, COSTS)
def test_no_other_configuration_is_better_at_a_hull_point(synthetic, seed, form, share, logs, kind, cost):
    network, tables = synthetic(seed, layers=3, largest=5)
    tables = {name: replace(table, in_loss=True) for name, table in tables.items()}
    weights = dict(zip(network.names, logs, strict=True))
    allocate = RateDistortion(network, tables, form, distortion=distortion_of(kind, network), cost=cost)
    factors = [math.exp(w) for w in logs]
    total, fixed = (network.params, network.fixed_params) if cost == "params" else (network.macs, network.fixed_macs)
    least = sum(c.choices.cost(c.choices.cheapest) for c in allocate.candidates)
    budget = round(between(least, total - fixed, share))
    vertex = cut([c.curve(0.0) for c in allocate.candidates], factors, budget)
    assume(vertex is not None)  # in MACs the cheapest choice may lie off the hull
    spent = sum(c.choices.cost(r) for c, r in zip(allocate.candidates, vertex, strict=True))

    found = allocate(total / (fixed + spent), weights)

    options = []
    for c in allocate.candidates:
        pairs = [(), *(tuple(int(i) + 1 for i in place) for place in np.argwhere(c.choices.allowed))]
        options.append([(c.choices.cost(r), c.loss(r)) for r in pairs])
    best = min(
        sum(f * loss for f, (_, loss) in zip(factors, combination, strict=True))
        for combination in itertools.product(*options)
        if sum(cost for cost, _ in combination) <= spent
    )
    reached = sum(
        f * c.loss(as_tuple(found[c.choices.spec.name])) for f, c in zip(factors, allocate.candidates, strict=True)
    )
    assert reached <= best * (1 + 1e-9) + 1e-9


@given(SEEDS, FORMS, SHARES, SHARES, KINDS, COSTS)
def test_what_is_spent_rises_with_the_budget_unless_both_fill_one_gap_of_the_hull(
    synthetic, seed, form, first, second, kind, cost
):
    network, tables = synthetic(seed)
    allocate = RateDistortion(network, tables, form, distortion=distortion_of(kind, network), cost=cost)
    total, fixed = (network.params, network.fixed_params) if cost == "params" else (network.macs, network.fixed_macs)
    least = sum(c.choices.cost(c.choices.cheapest) for c in allocate.candidates)
    small, large = sorted(round(between(least, total - fixed, s)) for s in (first, second))
    curves = [c.curve(0.0) for c in allocate.candidates]
    assume(cut(curves, [1.0] * len(curves), small) != cut(curves, [1.0] * len(curves), large))

    def spent(budget):
        found = network_cost(network, allocate(total / (fixed + budget)), form)
        return found.params if cost == "params" else found.macs

    assert spent(small) <= spent(large)


@given(SEEDS, FORMS, SHARES, SHARES)
def test_a_larger_ratio_never_loses_less_unless_both_fill_one_gap_of_the_hull(
    synthetic, loss_of, seed, form, first, second
):
    network, tables = synthetic(seed)
    allocate = RateDistortion(network, tables, form)
    high = attainable_ratio(network, form) * (1 - 1e-9)
    assume(high > 1)
    small, large = sorted(between(1.0, high, s) for s in (first, second))

    def vertex(ratio):
        budget = math.floor(network.params / ratio) - network.fixed_params
        return cut([c.curve(0.0) for c in allocate.candidates], [1.0] * len(network.layers), budget)

    assume(vertex(small) != vertex(large))
    assert loss_of(allocate(small), tables) <= loss_of(allocate(large), tables) + 1e-9


@pytest.mark.parametrize("form", ["plain", "pivoted"])
def test_loss_rises_with_the_ratio_and_the_ratio_is_met_within_a_thousandth_on_resnet20(resnet20, loss_of, form):
    network, tables = resnet20
    allocate = RateDistortion(network, tables, form)
    ratios = np.geomspace(1.2, 20, 15)
    found = [allocate(r) for r in ratios]
    real = np.array([network_cost(network, c, form).compression_ratio for c in found])
    assert (real >= ratios).all()
    assert (real <= ratios * 1.005).all()
    assert (np.diff([loss_of(c, tables) for c in found]) > 0).all()


@given(SEEDS, FORMS, SHARES, st.integers(0, 3), st.floats(0, 3))
def test_raising_a_weight_never_takes_from_its_layer_before_the_fill(synthetic, seed, form, share, layer, more):
    network, tables = synthetic(seed)
    curves = [c.curve(0.0) for c in RateDistortion(network, tables, form).candidates]
    least = sum(int(c.cost[0]) for c in curves)
    budget = round(between(least, sum(int(c.cost[-1]) for c in curves), share))
    weights = [1.0] * len(curves)
    before = curves[layer].ranks.index(cut(curves, weights, budget)[layer])
    weights[layer] = math.exp(more)
    after = curves[layer].ranks.index(cut(curves, weights, budget)[layer])
    assert after >= before


def test_weights_move_parameters_to_their_layer_at_the_same_ratio(resnet20):
    network, tables = resnet20
    allocate = RateDistortion(network, tables)
    for name in ("conv", "layer1.3", "layer2.5", "linear"):
        spec = network[name]
        params = [layer_params(spec, allocate(5.0, {name: w})[name], "pivoted") for w in (-3, -1, 0, 1, 3)]
        assert params == sorted(params)
        assert params[0] < params[-1]


def test_tilts_move_ranks_between_the_modes_at_the_same_ratio(resnet20):
    network, tables = resnet20
    allocate = RateDistortion(network, tables)
    names = [s.name for s in network.layers if s.format == "tucker2"]

    def imbalance(tilt):
        found = allocate(5.0, tilts=dict.fromkeys(names, tilt))
        return sum(math.log(found[n].rank_out / found[n].rank_in) for n in names if as_tuple(found[n]))

    found = [imbalance(t) for t in (-1.0, -0.4, 0.0, 0.4, 1.0)]
    assert found == sorted(found, reverse=True)
    assert found[0] > found[-1] + 1


@pytest.mark.parametrize("tilt", [-8.0, 8.0])
@pytest.mark.parametrize("form", ["plain", "pivoted"])
def test_the_highest_ratio_is_met_under_any_tilt(resnet20, form, tilt):
    network, tables = resnet20
    tilts = {s.name: tilt for s in network.layers if s.format == "tucker2"}
    ratio = attainable_ratio(network, form)
    found = RateDistortion(network, tables, form)(ratio, tilts=tilts)
    assert network_cost(network, found, form).compression_ratio == ratio


def test_ratio_one_is_the_dense_network(synthetic):
    network, tables = synthetic(5)
    found = RateDistortion(network, tables)(1.0)
    assert all(as_tuple(found[name]) == () for name in network.names)


def two_equal_layers(network_of, scales):
    specs = [LayerSpec(name=n, kind="linear", channels_out=16, channels_in=16) for n in "ab"]
    spectrum = 0.8 ** np.arange(16.0)
    tail = (spectrum.sum() - np.cumsum(spectrum)).clip(0)
    tables = {
        spec.name: ErrorTable(tail * scale, spectrum.sum() * scale, (spectrum * scale,))
        for spec, scale in zip(specs, scales, strict=True)
    }
    return network_of(specs), tables


def test_totals_count_only_where_they_are_in_units_of_the_loss(network_of):
    network, tables = two_equal_layers(network_of, (1.0, 100.0))
    alike = RateDistortion(network, tables)(3.0)
    assert abs(alike["a"].rank - alike["b"].rank) <= 1
    scaled = RateDistortion(network, {name: replace(table, in_loss=True) for name, table in tables.items()})(3.0)
    assert scaled["a"].rank < scaled["b"].rank - 2
    # The root of a hundredfold total is a tenfold loss.
    assert scaled == RateDistortion(network, tables)(3.0, {"b": math.log(10)})


def test_macs_as_the_budget_spare_the_layers_of_many_positions(resnet20):
    network, tables = resnet20
    found = RateDistortion(network, tables, cost="macs")(4.0)
    real = network_cost(network, found, "pivoted")
    assert real.mac_ratio == pytest.approx(4.0, rel=5e-3)
    assert real.mac_ratio >= 4.0
    by_params = network_cost(network, RateDistortion(network, tables)(4.0), "pivoted")
    assert by_params.mac_ratio < real.mac_ratio
    assert by_params.compression_ratio < real.compression_ratio or by_params.params < real.params


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (({"layer9": 1.0},), "layer 'layer9' takes no weight; those that do: layer0"),
        (({}, {"layer9": 1.0}), "layer 'layer9' takes no tilt"),
        (({"layer0": math.nan},), "layer 'layer0': its weight must be finite, got nan"),
    ],
)
def test_a_weight_or_tilt_that_fits_no_layer_is_refused(synthetic, arguments, message):
    network, tables = synthetic(5)
    with pytest.raises(RankError, match=message):
        RateDistortion(network, tables)(1.1, *arguments)


def test_a_tilt_of_a_layer_with_one_rank_is_refused(network_of):
    network, tables = two_equal_layers(network_of, (1.0, 1.0))
    with pytest.raises(RankError, match="layer 'a' takes no tilt; those that do: none"):
        RateDistortion(network, tables)(2.0, tilts={"a": 0.5})


def test_an_unattainable_ratio_is_refused(synthetic):
    network, tables = synthetic(5)
    with pytest.raises(BudgetError, match="ranks reach from 1 to"):
        RateDistortion(network, tables)(1e6)

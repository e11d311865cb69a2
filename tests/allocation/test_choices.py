"""The choices of a layer: legal, worth having, and connected by single steps."""

import itertools

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given

from ranksearch.allocation.choices import Choices
from ranksearch.layers import Dense, LayerSpec, Svd, Tucker2, full_ranks, is_legal, layer_macs, layer_params

SPECS = st.builds(
    LayerSpec,
    name=st.just("layer"),
    kind=st.just("conv2d"),
    channels_out=st.integers(1, 12),
    channels_in=st.integers(1, 12),
    kernel=st.sampled_from([(1, 1), (1, 2), (3, 3)]),
    bias=st.booleans(),
    positions_in=st.sampled_from([4, 16]),
    positions_out=st.just(4),
)
FORMS = st.sampled_from(["plain", "pivoted"])
COSTS = st.sampled_from(["params", "macs"])


def pairs(choices: Choices) -> list[tuple[int, ...]]:
    return [tuple(int(i) + 1 for i in place) for place in np.argwhere(choices.allowed)]


def every(spec: LayerSpec) -> itertools.product:
    return itertools.product(*(range(1, full + 1) for full in full_ranks(spec)))


@given(SPECS, FORMS, COSTS, st.sampled_from([1, 2, 4]))
def test_allowed_pairs_are_legal_multiples_and_smaller_than_dense(spec, form, cost, multiple_of):
    choices = Choices.of(spec, form, multiple_of, cost)
    for ranks in pairs(choices):
        found = choices.layer_ranks(ranks)
        assert is_legal(spec, found)
        assert all(r % multiple_of == 0 or r == f for r, f in zip(ranks, full_ranks(spec), strict=True))
        assert layer_params(spec, found, form) < spec.params
        assert choices.cost(ranks) == {"params": layer_params, "macs": layer_macs}[cost](spec, found, form)
        assert choices.cost(ranks) < choices.dense


@given(SPECS, FORMS, COSTS)
def test_a_pair_left_out_is_beaten_by_one_with_no_less_of_any_rank(spec, form, cost):
    choices = Choices.of(spec, form, 1, cost)
    kept = [(ranks, choices.cost(ranks)) for ranks in pairs(choices)]
    for ranks in every(spec):
        found = choices.layer_ranks(ranks)
        if not is_legal(spec, found) or choices.allowed[tuple(r - 1 for r in ranks)]:
            continue
        spent = choices.cost(ranks)
        dense_beats = choices.dense <= spent or spec.params <= layer_params(spec, found, form)
        assert dense_beats or any(c <= spent and all(a >= b for a, b in zip(k, ranks, strict=True)) for k, c in kept)


@given(SPECS, FORMS, COSTS, st.sampled_from([1, 3]), st.randoms())
def test_steps_lead_from_the_cheapest_to_dense_each_dearer_than_the_last(spec, form, cost, multiple_of, random):
    choices = Choices.of(spec, form, multiple_of, cost)
    now = choices.cheapest
    assert choices.cost(now) == min([choices.dense, *(choices.cost(r) for r in pairs(choices))])
    while steps := choices.steps(now):
        for then in steps:
            assert choices.cost(then) > choices.cost(now)
            assert then == () or sum(a != b for a, b in zip(now, then, strict=True)) == 1
        now = random.choice(steps)
    assert now == ()


@pytest.mark.parametrize(("kernel", "ranks", "layer_ranks"), [((3, 3), (2, 1), Tucker2(2, 1)), ((1, 1), (2,), Svd(2))])
def test_layer_ranks_by_format(kernel, ranks, layer_ranks):
    spec = LayerSpec(name="layer", kind="conv2d", channels_out=8, channels_in=8, kernel=kernel)
    choices = Choices.of(spec, "pivoted")
    assert choices.layer_ranks(ranks) == layer_ranks
    assert isinstance(choices.layer_ranks(()), Dense)


def test_where_macs_count_a_strided_layer_that_would_compute_more_stays_dense():
    spec = LayerSpec(name="layer", kind="conv2d", channels_out=2, channels_in=12, kernel=(1, 2),
                     positions_in=64, positions_out=4)  # fmt: skip
    assert Choices.of(spec, "pivoted", cost="params").allowed.any()
    assert Choices.of(spec, "pivoted", cost="macs").cheapest == ()


def test_plain_form_prefers_full_rank_where_it_costs_less():
    spec = LayerSpec(name="layer", kind="conv2d", channels_out=16, channels_in=16, kernel=(3, 3))
    allowed = Choices.of(spec, "plain").allowed
    assert allowed[15, 3]
    assert not allowed[14, 3]  # 15·4·9 + 15·16 + … is more than 16·4·9 + …

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from ranksearch.errors import RankError
from ranksearch.layers import (
    Dense,
    Form,
    LayerRanks,
    LayerSpec,
    Svd,
    Tucker2,
    full_ranks,
    is_legal,
    layer_params,
    legal_mask,
    project,
)
from ranksearch.layers.configuration import as_tuple
from ranksearch.layers.legal import require_legal

SPECS = st.builds(
    LayerSpec,
    name=st.just("layer"),
    kind=st.just("conv2d"),
    channels_out=st.integers(1, 20),
    channels_in=st.integers(1, 20),
    kernel=st.sampled_from([(1, 1), (3, 3), (1, 3), (2, 1)]),
    bias=st.booleans(),
)
FORMS: st.SearchStrategy[Form] = st.sampled_from(["plain", "pivoted"])


@settings(deadline=None)
@given(SPECS, st.tuples(st.integers(-5, 40), st.integers(-5, 40)), FORMS, st.sampled_from([1, 4, 8]))
def test_a_projection_is_legal_and_never_larger_than_dense(
    spec: LayerSpec, wanted: tuple[int, int], form: Form, multiple_of: int
) -> None:
    ranks = project(spec, wanted[: len(spec.modes)], form, multiple_of)
    assert is_legal(spec, ranks)
    assert layer_params(spec, ranks, form) <= spec.params
    if isinstance(ranks, Dense):
        assert ranks.reason
    else:
        assert layer_params(spec, ranks, form) < spec.params
        assert as_tuple(ranks) != full_ranks(spec)


@settings(deadline=None)
@given(SPECS, FORMS, st.data())
def test_a_projection_keeps_what_is_legal_and_smaller(spec: LayerSpec, form: Form, draw: st.DataObject) -> None:
    pairs = np.argwhere(legal_mask(spec)) + 1
    pair = tuple(map(int, pairs[draw.draw(st.integers(0, len(pairs) - 1))]))
    ranks: LayerRanks = Svd(*pair) if len(pair) == 1 else Tucker2(*pair)
    projected = project(spec, pair, form)
    if isinstance(projected, Dense):
        assert layer_params(spec, ranks, form) >= spec.params
    else:
        assert projected == ranks


@settings(deadline=None)
@given(SPECS, st.data())
def test_legal_ranks_are_those_a_core_can_have(spec: LayerSpec, draw: st.DataObject) -> None:
    """Beyond them the core's unfolding cannot have the rank: a random core of such a shape has exactly these ranks."""
    if spec.format == "svd":
        assert legal_mask(spec).shape == full_ranks(spec) == (min(spec.channels_out, spec.channels_in),)
        return
    out, in_ = draw.draw(st.integers(1, spec.channels_out)), draw.draw(st.integers(1, spec.channels_in))
    core = torch.randn(out, in_, spec.kernel_size, dtype=torch.float64)
    ranks = tuple(int(torch.linalg.matrix_rank(core.movedim(mode, 0).flatten(1))) for mode in (0, 1))
    assert legal_mask(spec)[out - 1, in_ - 1] == (ranks == (out, in_))
    assert is_legal(spec, Tucker2(out, in_)) == (ranks == (out, in_))


@settings(deadline=None)
@given(SPECS)
def test_full_ranks_are_the_largest_legal_ones(spec: LayerSpec) -> None:
    legal = np.argwhere(legal_mask(spec)) + 1
    assert tuple(legal.max(0)) == full_ranks(spec)
    assert (legal == full_ranks(spec)).all(1).any()


def test_multiples_except_at_full_rank() -> None:
    spec = LayerSpec(name="c", kind="conv2d", channels_out=20, channels_in=20, kernel=(3, 3))
    assert project(spec, (9, 1), "pivoted", multiple_of=8) == Tucker2(8, 8)
    assert project(spec, (25, 9), "pivoted", multiple_of=8) == Tucker2(20, 8)
    assert project(spec, (20, 20), "pivoted") == Dense("full rank")


@pytest.mark.parametrize("ranks", [Svd(2), Tucker2(3, 1), Tucker2(1, 3), Tucker2(9, 5)])
def test_illegal_ranks_are_refused_with_the_law(ranks: LayerRanks) -> None:
    spec = LayerSpec(name="stem", kind="conv2d", channels_out=8, channels_in=4, kernel=(1, 2))
    assert not is_legal(spec, ranks)
    with pytest.raises(RankError, match=r"'stem' \(8×4×1×2\) takes tucker2"):
        require_legal(spec, ranks)
    require_legal(spec, Dense())
    require_legal(spec, Tucker2(4, 2))

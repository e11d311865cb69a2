import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from ranksearch.decomposition import Hooi, hooi, nested_bases
from ranksearch.errors import RankError
from ranksearch.layers import Dense, LayerSpec, Svd, Tucker2


@settings(max_examples=30, deadline=None)
@given(st.integers(2, 7), st.integers(2, 6), st.sampled_from([(3, 3), (1, 3), (2, 1)]), st.data())
def test_never_worse_than_hosvd(out: int, in_: int, kernel: tuple[int, int], draw: st.DataObject) -> None:
    spec = LayerSpec(name="c", kind="conv2d", channels_out=out, channels_in=in_, kernel=kernel)
    size = kernel[0] * kernel[1]
    rank_in = draw.draw(st.integers(1, in_))
    rank_out = draw.draw(st.integers(1, min(out, size * rank_in)))
    rank_in = min(rank_in, size * rank_out)
    generator = torch.Generator().manual_seed(draw.draw(st.integers(0, 1000)))
    weight = torch.randn(out, in_, *kernel, generator=generator, dtype=torch.float64)

    found = hooi(weight, rank_out, rank_in)
    hosvd = nested_bases(spec, weight).factors(Tucker2(rank_out, rank_in))
    assert found.ranks == Tucker2(rank_out, rank_in)
    assert found.relative_error(weight) <= hosvd.relative_error(weight) + 1e-9
    for factor in (found.factor_out, found.factor_in):
        torch.testing.assert_close(factor.T @ factor, torch.eye(factor.shape[1], dtype=torch.float64))


def test_exact_where_the_kernel_has_the_ranks() -> None:
    weight = torch.einsum("abhw,oa,ib->oihw", torch.randn(3, 2, 3, 3), torch.randn(8, 3), torch.randn(6, 2))
    assert hooi(weight, 3, 2).relative_error(weight) < 1e-5
    assert hooi(weight.bfloat16(), 3, 2).core.dtype == torch.float32


def test_illegal_ranks_are_refused() -> None:
    weight = torch.randn(8, 1, 1, 3)
    with pytest.raises(RankError, match="not legal"):
        hooi(weight, 4, 1)
    spec = LayerSpec(name="conv", kind="conv2d", channels_out=8, channels_in=1, kernel=(1, 3))
    for ranks in (Tucker2(4, 1), Svd(1), Dense("kept")):
        with pytest.raises(RankError, match="'conv'"):
            Hooi(nested_bases(spec, weight), weight).factors(ranks)

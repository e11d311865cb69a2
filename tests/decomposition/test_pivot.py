import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from ranksearch.decomposition import pivot


@settings(deadline=None)
@given(st.integers(1, 8), st.integers(0, 8), st.integers(0, 2**31))
def test_a_factor_is_its_block_and_transfer(rank: int, more: int, seed: int) -> None:
    factor = torch.randn(rank + more, rank, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    split = pivot(factor)
    stacked = torch.cat([split.block, split.transfer @ split.block])
    torch.testing.assert_close(stacked[split.order], factor)
    assert torch.equal(factor[split.pivots], split.block)
    assert torch.equal(split.pivots, split.pivots.sort().values)
    assert torch.equal(torch.cat([split.pivots, split.others]).sort().values, torch.arange(rank + more))


def test_the_transfer_of_an_orthonormal_factor_is_small() -> None:
    factor = torch.linalg.qr(torch.randn(256, 64, generator=torch.Generator().manual_seed(0)))[0]
    assert pivot(factor).transfer.abs().max() < 5


def test_full_rank_keeps_the_order() -> None:
    factor = torch.randn(4, 4)
    split = pivot(factor)
    assert torch.equal(split.block, factor)
    assert split.transfer.shape == (0, 4)
    assert torch.equal(split.order, torch.arange(4))


def test_dependent_columns_do_no_harm() -> None:
    factor = torch.randn(6, 1, dtype=torch.float64).expand(6, 3).contiguous()
    split = pivot(factor)
    torch.testing.assert_close(split.transfer @ split.block, factor[split.others])
    assert split.transfer.abs().max() <= 1 + 1e-9


def test_a_factor_of_zeros() -> None:
    split = pivot(torch.zeros(5, 2))
    assert not split.transfer.any()
    assert len(split.pivots) == 2


def test_dtype_is_kept() -> None:
    assert pivot(torch.randn(5, 2, dtype=torch.bfloat16)).transfer.dtype == torch.bfloat16

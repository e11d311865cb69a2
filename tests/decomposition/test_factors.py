import pytest
import torch

from ranksearch.decomposition import Factors
from ranksearch.errors import RankError
from ranksearch.layers import Svd, Tucker2


def test_tucker2_kernel_is_the_sum_over_both_ranks() -> None:
    core, out, in_ = torch.randn(3, 2, 3, 2), torch.randn(5, 3), torch.randn(4, 2)
    factors = Factors(core, out, in_)
    torch.testing.assert_close(factors.kernel(), torch.einsum("abhw,oa,ib->oihw", core, out, in_))
    assert factors.ranks == Tucker2(3, 2)


def test_svd_kernel_is_1x1() -> None:
    factors = Factors(None, torch.randn(5, 3), torch.randn(4, 3))
    torch.testing.assert_close(factors.kernel()[:, :, 0, 0], factors.factor_out @ factors.factor_in.T)
    assert factors.kernel().shape == (5, 4, 1, 1)
    assert factors.ranks == Svd(3)


def test_kernel_is_differentiable() -> None:
    tensors = [torch.randn(size, dtype=torch.float64, requires_grad=True) for size in [(2, 3, 2, 1), (4, 2), (5, 3)]]
    assert torch.autograd.gradcheck(lambda *t: Factors(*t).kernel(), tensors)


def test_relative_error_is_a_ratio_of_norms() -> None:
    factors = Factors(None, torch.ones(2, 1), torch.ones(3, 1))
    assert factors.relative_error(2 * torch.ones(2, 3)) == pytest.approx(0.5)
    assert factors.relative_error(torch.zeros(2, 3, 1, 1)) == 0.0


@pytest.mark.parametrize("core", [None, torch.zeros(2, 2, 3, 3)])
def test_shapes_that_do_not_fit_are_refused(core: torch.Tensor | None) -> None:
    with pytest.raises(RankError, match="do not fit"):
        Factors(core, torch.zeros(4, 2), torch.zeros(4, 3))

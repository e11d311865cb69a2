import pytest
import torch

from ranksearch.decomposition import shrink
from ranksearch.decomposition.covariance import channel_average, root_of, times
from ranksearch.errors import RankError


def singular(n: int, seen: int, dead: int) -> torch.Tensor:
    patches = torch.randn(seen, n, dtype=torch.float64)
    patches[:, :dead] = 0
    return patches.T @ patches / seen


@pytest.mark.parametrize("rho", [0.0, 0.3, 1.0])
def test_shrinking_makes_any_covariance_positive_definite(rho: float) -> None:
    covariance = singular(8, seen=3, dead=2)
    shrunk = shrink(covariance, rho)
    floor = 1e-4 * covariance.diagonal().mean()
    assert torch.linalg.eigvalsh(shrunk)[0] >= floor * 0.99
    torch.testing.assert_close(shrunk.diagonal(), covariance.diagonal() + floor)
    torch.testing.assert_close(shrunk[0, 5:], (1 - rho) * covariance[0, 5:])


def test_a_covariance_of_nothing_stays_next_to_nothing() -> None:
    found = shrink(torch.zeros(3, 3, dtype=torch.float64))
    assert 0 < float(found[0, 0]) < 1e-15
    torch.testing.assert_close(found, found[0, 0] * torch.eye(3, dtype=torch.float64), rtol=0, atol=0)
    root_of(found)


def test_root_and_its_inverse() -> None:
    covariance = shrink(singular(6, seen=20, dead=1))
    root, inverse = root_of(covariance)
    torch.testing.assert_close(root.T @ root, covariance)
    torch.testing.assert_close(root @ inverse, torch.eye(6, dtype=torch.float64))


def test_root_of_a_diagonal() -> None:
    diagonal = torch.tensor([4.0, 9.0], dtype=torch.float64)
    for of_diagonal, of_matrix in zip(root_of(diagonal), root_of(diagonal.diag()), strict=True):
        torch.testing.assert_close(of_diagonal.diag(), of_matrix)
        matrix = torch.randn(2, 3, dtype=torch.float64)
        torch.testing.assert_close(times(of_diagonal, matrix), times(of_matrix, matrix))
    assert times(None, diagonal) is diagonal


@pytest.mark.parametrize(
    "covariance",
    [singular(6, seen=20, dead=1), singular(6, seen=3, dead=0), torch.tensor([1.0, 0.0]), -torch.eye(2).double()],
)
def test_a_singular_matrix_has_no_root(covariance: torch.Tensor) -> None:
    with pytest.raises(RankError, match="positive definite"):
        root_of(covariance)


def test_channel_average_runs_over_kernel_positions() -> None:
    covariance = singular(12, seen=30, dead=0)
    average = channel_average(covariance, channels=3)
    expected = sum(covariance[k::4, k::4] for k in range(4)) / 4
    torch.testing.assert_close(average, expected)

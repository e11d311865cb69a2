import numpy as np
import pytest

from ranksearch.errors import RankError
from ranksearch.layers import Dense, ErrorTable, Svd, Tucker2

SPECTRA = (np.ones(2), np.ones(3))


def test_lookup_by_ranks() -> None:
    table = ErrorTable(np.arange(6.0)[::-1].reshape(2, 3), 10.0, SPECTRA)
    assert table[Tucker2(1, 1)] == 5.0
    assert table[Tucker2(2, 3)] == table[Dense()] == 0.0
    assert table.relative[0, 0] == 0.5
    assert ErrorTable(np.array([3.0, 1.0]), 4.0, SPECTRA[:1])[Svd(2)] == 1.0


def test_relative_is_a_fraction_also_of_nothing() -> None:
    assert not ErrorTable(np.zeros((2, 3)), 0.0, SPECTRA).relative.any()
    assert ErrorTable(np.array([[4.0000001]]), 4.0, SPECTRA).relative.max() == 1.0


@pytest.mark.parametrize(
    ("distortion", "total", "spectra", "law"),
    [
        (np.zeros((2, 3)), 1.0, SPECTRA[:1], "as many spectra"),
        (np.full((2, 3), np.nan), 1.0, SPECTRA, "finite"),
        (np.zeros((2, 3)), np.inf, SPECTRA, "finite"),
    ],
)
def test_what_is_no_table(distortion: np.ndarray, total: float, spectra: tuple[np.ndarray, ...], law: str) -> None:
    with pytest.raises(RankError, match=law):
        ErrorTable(distortion, total, spectra)

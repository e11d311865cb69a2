"""EVBMF: the rank of a low-rank matrix under noise, and the paper's own numbers."""

import math

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given, settings
from scipy.integrate import quad

from ranksearch.allocation.evbmf import _bound, evbmf, evbmf_rank, evbmf_weakened
from ranksearch.errors import BudgetError
from ranksearch.layers import Dense, ErrorTable, LayerSpec, full_ranks, is_legal, network_cost
from ranksearch.layers.configuration import as_tuple


def noisy(rows, columns, rank, noise, seed):
    rng = np.random.default_rng(seed)
    left, _ = np.linalg.qr(rng.normal(size=(rows, max(rank, 1))))
    right, _ = np.linalg.qr(rng.normal(size=(columns, max(rank, 1))))
    signal = (left * (rank > 0)) @ right.T * math.sqrt(rows * columns)
    return np.linalg.svd(signal + noise * rng.normal(size=(rows, columns)), compute_uv=False) ** 2


@settings(max_examples=40)
@given(
    st.sampled_from([(30, 40), (64, 64), (80, 20), (40, 360)]),
    st.integers(0, 6),
    st.floats(0.2, 1.5),
    st.integers(0, 1000),
)
def test_finds_the_rank_under_noise_whatever_the_scale_and_orientation(shape, rank, noise, seed):
    spectrum = noisy(*shape, rank, noise, seed)
    assert evbmf_rank(spectrum, *shape) == rank
    assert evbmf_rank(spectrum, *shape[::-1]) == rank
    assert evbmf_rank(spectrum * 1e-8, *shape) == rank


@pytest.mark.parametrize("noise", [0.05, 0.5])
def test_a_signal_below_the_noise_is_not_found(noise):
    # Singular value of the signal 1 against 2·√(columns)·noise of the noise, or a hundredth of it.
    rng = np.random.default_rng(0)
    signal = np.outer(rng.normal(size=50), rng.normal(size=200))
    found = np.linalg.svd(
        signal / np.linalg.norm(signal) * noise * math.sqrt(200) * 0.5 + noise * rng.normal(size=(50, 200)),
        compute_uv=False,
    )
    assert evbmf_rank(found**2, 50, 200) == 0


def test_without_noise_what_is_not_zero_is_signal():
    assert evbmf_rank(np.array([4.0, 2.0, 1.0] + [0.0] * 17), 20, 30) == 3
    assert evbmf_rank(np.zeros(20), 20, 30) == 0


@given(st.floats(1e-12, 1e12), st.integers(1, 64), st.integers(1, 64))
def test_a_flat_spectrum_is_noise(value, rows, columns):
    assert evbmf_rank(np.full(min(rows, columns), value), rows, columns) == 0


def test_a_single_row_is_noise():
    assert evbmf_rank(np.array([3.0]), 1, 9) == 0


def test_a_tall_unfolding_has_no_more_values_than_its_short_side():
    spectrum = np.concatenate([noisy(12, 64, 3, 0.3, 0), np.zeros(52)])
    assert evbmf_rank(spectrum, 64, 12) == 3


def test_the_bound_lies_above_the_edge_of_the_noise_and_matches_the_published_constant():
    # Nakajima et al. 2013: τ̄ = 2.5129 for a square matrix; all x̄ exceed Marchenko–Pastur's edge (1 + √α)².
    assert _bound(1.0) == pytest.approx((1 + 2.5129) * (1 + 1 / 2.5129), rel=1e-4)
    for alpha in (0.001, 0.1, 0.5, 1.0):
        assert _bound(alpha) > (1 + math.sqrt(alpha)) ** 2


def test_the_noise_edge_is_where_the_density_of_noise_ends():
    """The premise of the test above: Marchenko & Pastur's (1967) density integrates to one below the edge."""
    alpha = 0.4
    low, high = (1 - math.sqrt(alpha)) ** 2, (1 + math.sqrt(alpha)) ** 2
    mass, _ = quad(lambda x: math.sqrt((high - x) * (x - low)) / (2 * math.pi * alpha * x), low, high)
    assert mass == pytest.approx(1)


def noisy_network(network_of):
    """Two layers of a few strong directions under noise: EVBMF has something to find."""
    specs = [LayerSpec(name=n, kind="linear", channels_out=40, channels_in=60) for n in "ab"]
    spectra = {s.name: noisy(40, 60, 4 + 3 * i, 0.5, i) for i, s in enumerate(specs)}
    return network_of(specs), {
        n: ErrorTable((s.sum() - np.cumsum(s)).clip(0), s.sum(), (s,)) for n, s in spectra.items()
    }


def test_weakening_gives_back_a_share_of_the_ranks_taken_away(network_of):
    network, tables = noisy_network(network_of)
    found = {w: evbmf(network, tables, form="pivoted", weakening=w) for w in (1.0, 0.75, 0.0)}
    assert [found[1.0][n].rank for n in "ab"] == [4, 7]
    assert [found[0.75][n].rank for n in "ab"] == [13, 15]  # ⌊40 − 0.75·(40 − 4)⌋, ⌊40 − 0.75·(40 − 7)⌋
    assert [as_tuple(found[0.0][n]) for n in "ab"] == [(), ()]


@pytest.mark.parametrize("form", ["plain", "pivoted"])
@pytest.mark.parametrize("cost", ["params", "macs"])
def test_weakened_it_meets_any_ratio_up_to_its_own(network_of, form, cost):
    network, tables = noisy_network(network_of)
    strongest = network_cost(network, evbmf(network, tables, form=form, cost=cost), form)
    own = strongest.compression_ratio if cost == "params" else strongest.mac_ratio
    assert evbmf_weakened(network, tables, own, form=form, cost=cost) == evbmf(network, tables, form=form, cost=cost)
    for ratio in (1.5, 2.0, 3.0):
        real = network_cost(network, evbmf_weakened(network, tables, ratio, form=form, cost=cost), form)
        total, spent = (network.params, real.params) if cost == "params" else (network.macs, real.macs)
        assert spent <= total / ratio < spent + 200  # a rank of one layer costs at most 100
    with pytest.raises(BudgetError, match=rf"EVBMF reaches {own:.4g}, and less where it is weakened"):
        evbmf_weakened(network, tables, own * 1.01, form=form, cost=cost)


@given(st.integers(0, 10_000), st.sampled_from(["plain", "pivoted"]), st.sampled_from([1, 4]))
def test_ranks_are_legal_for_any_network(synthetic, seed, form, multiple_of):
    network, tables = synthetic(seed)
    found = evbmf(network, tables, form=form, multiple_of=multiple_of)
    for spec in network.layers:
        ranks = found[spec.name]
        assert is_legal(spec, ranks)
        assert isinstance(ranks, Dense) or all(
            r % multiple_of == 0 or r == f for r, f in zip(as_tuple(ranks), full_ranks(spec), strict=True)
        )

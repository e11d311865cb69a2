"""The laws of nested bases, as properties over random shapes, kernels and covariances."""

from dataclasses import dataclass
from functools import cached_property

import msgspec
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from ranksearch.decomposition import NestedBases, deploy, nested_bases, network_bases, shrink
from ranksearch.errors import RankError
from ranksearch.layers import Dense, Form, LayerRanks, LayerSpec, NetworkSpec, Svd, Tucker2, full_ranks, legal_mask

FORMS: list[Form] = ["plain", "pivoted"]
# C_out > K·C_in, C_in > K·C_out, C_in = 1, C_out = 1 and non-square kernels all occur.
SHAPES = st.tuples(st.integers(1, 6), st.integers(1, 6), st.sampled_from([(1, 1), (3, 3), (1, 3), (2, 1), (2, 2)]))


@dataclass
class Case:
    spec: LayerSpec
    weight: Tensor
    sigma: Tensor | None
    gamma: Tensor | None

    @cached_property
    def bases(self) -> NestedBases:
        return nested_bases(self.spec, self.weight, self.sigma, self.gamma)

    def distortion(self, kernel: Tensor) -> float:
        """‖Γ^½ (W − Ŵ) Σ^½‖² by its definition."""
        rest = (self.weight - kernel.reshape(self.weight.shape)).flatten(1)
        right = rest if self.sigma is None else rest @ whole(self.sigma)
        left = rest if self.gamma is None else whole(self.gamma) @ rest
        return float((left * right).sum())

    def all_ranks(self) -> list[LayerRanks]:
        pairs = np.argwhere(legal_mask(self.spec)) + 1
        return [Svd(*map(int, p)) if len(p) == 1 else Tucker2(*map(int, p)) for p in pairs]


def whole(covariance: Tensor) -> Tensor:
    return covariance.diag() if covariance.ndim == 1 else covariance


@st.composite
def cases(draw: st.DrawFn, covariances: bool = True, shapes: st.SearchStrategy = SHAPES) -> Case:
    out, in_, kernel = draw(shapes)
    generator = torch.Generator().manual_seed(draw(st.integers(0, 2**31)))

    def random(*size: int) -> Tensor:
        return torch.randn(*size, generator=generator, dtype=torch.float64)

    def covariance(n: int) -> Tensor | None:
        if not (covariances and draw(st.booleans())):
            return None
        few = random(draw(st.integers(1, 3 * n)), n) * torch.linspace(0.1, 3, n)
        made = shrink(few.T @ few / len(few), draw(st.sampled_from([0.0, 0.2])), ridge=1e-2)
        return made.diagonal() if draw(st.booleans()) else made  # of a layer too wide for more

    size = kernel[0] * kernel[1]
    spec = LayerSpec(name="layer", kind="conv2d", channels_out=out, channels_in=in_, kernel=kernel)
    return Case(spec, random(out, in_, *kernel), covariance(in_ * size), covariance(out))


@settings(max_examples=30, deadline=None)
@given(cases())
def test_the_table_is_the_direct_error(case: Case) -> None:
    bases = case.bases
    assert bases.table.total == pytest.approx(case.distortion(torch.zeros_like(case.weight)))
    for ranks in case.all_ranks():
        direct = case.distortion(bases.factors(ranks).kernel())
        assert abs(direct - bases.table[ranks]) <= 1e-11 * bases.table.total


@settings(max_examples=25, deadline=None)
@given(cases())
def test_shape_and_monotonicity_of_the_table(case: Case) -> None:
    table, spec = case.bases.table, case.spec
    assert table.distortion.shape == legal_mask(spec).shape
    assert table.distortion[tuple(r - 1 for r in full_ranks(spec))] <= 1e-12 * table.total
    assert (table.distortion >= 0).all()
    assert (table.distortion <= table.total).all()
    for axis in range(table.distortion.ndim):
        assert (np.diff(table.distortion, axis=axis) <= 0).all()
    assert tuple(map(len, table.spectra)) == full_ranks(spec)


@settings(max_examples=25, deadline=None)
@given(cases())
def test_full_rank_is_exact(case: Case) -> None:
    full = full_ranks(case.spec)
    factors = case.bases.factors(Svd(*full) if len(full) == 1 else Tucker2(*full))
    torch.testing.assert_close(factors.kernel(), case.weight, rtol=1e-6, atol=1e-6)


@settings(max_examples=25, deadline=None)
@given(cases())
def test_factors_are_orthonormal_and_nest(case: Case) -> None:
    bases = case.bases
    *_, largest = (bases.factors(r) for r in case.all_ranks())
    for ranks in case.all_ranks():
        factors = bases.factors(ranks)
        assert factors.ranks == ranks
        kept = [(factors.factor_out, largest.factor_out)]
        if isinstance(ranks, Tucker2):
            kept.append((factors.factor_in, largest.factor_in))
        for factor, leading in kept:
            rank = factor.shape[1]
            torch.testing.assert_close(factor.T @ factor, torch.eye(rank, dtype=torch.float64))
            shared = min(rank, leading.shape[1])
            assert torch.equal(factor[:, :shared], leading[:, :shared])


@settings(max_examples=20, deadline=None)
@given(cases(), st.integers(0, 1000))
def test_the_core_is_the_least_squares_one(case: Case, seed: int) -> None:
    """No other core (for an SVD: no other factor_in) between the same factors is nearer."""
    bases = case.bases
    generator = torch.Generator().manual_seed(seed)
    for ranks in case.all_ranks()[:6]:
        factors = bases.factors(ranks)
        least = case.distortion(factors.kernel())
        moved = factors.core if factors.core is not None else factors.factor_in
        moved += 1e-2 * torch.randn(moved.shape, generator=generator, dtype=torch.float64)
        assert case.distortion(factors.kernel()) >= least - 1e-11 * bases.table.total


@settings(max_examples=25, deadline=None)
@given(cases(covariances=False))
def test_hosvd_bounds(case: Case) -> None:
    """The largest tail of the spectra ≤ distortion ≤ the sum of the tails (De Lathauwer et al. 2000, property 10)."""
    table = case.bases.table
    slack = 1e-11 * table.total
    for ranks in case.all_ranks():
        cut = (ranks.rank_out, ranks.rank_in) if isinstance(ranks, Tucker2) else (ranks.rank,)
        tails = [spectrum[rank:].sum() for spectrum, rank in zip(table.spectra, cut, strict=True)]
        assert max(tails) - slack <= table[ranks] <= sum(tails) + slack


@settings(max_examples=30, deadline=None)
@given(cases(covariances=True, shapes=SHAPES.map(lambda s: (s[0], s[1], (1, 1)))))
def test_an_svd_is_the_best_of_its_rank(case: Case) -> None:
    """Eckart–Young in the metric of Γ and Σ: the distortion is the tail of the whitened singular values."""

    def root(covariance: Tensor | None, n: int) -> Tensor:
        return torch.eye(n, dtype=torch.float64) if covariance is None else torch.linalg.cholesky(whole(covariance))

    gamma, sigma = root(case.gamma, case.spec.channels_out), root(case.sigma, case.spec.channels_in)
    tails = torch.linalg.svdvals(gamma.T @ case.weight.flatten(1) @ sigma).square().flip(0).cumsum(0).flip(0)
    expected = [*tails[1:].tolist(), 0.0]
    np.testing.assert_allclose(case.bases.table.distortion, expected, atol=1e-10 * case.bases.table.total)


SPEC = LayerSpec(name="conv", kind="conv2d", channels_out=6, channels_in=4, kernel=(3, 3))


def test_activation_bases_beat_hosvd_on_the_output() -> None:
    """What Σ is for: in its own metric the data-aware bases win at every pair, here clearly."""
    torch.manual_seed(0)
    weight = torch.randn(6, 4, 3, 3, dtype=torch.float64)
    patches = torch.randn(400, 36, dtype=torch.float64) * torch.logspace(0, -2, 36, dtype=torch.float64)
    case = Case(SPEC, weight, shrink(patches.T @ patches / 400), None)
    for ranks in (Tucker2(2, 2), Tucker2(3, 1), Tucker2(4, 3)):
        hosvd = case.distortion(nested_bases(SPEC, weight).factors(ranks).kernel())
        assert case.bases.table[ranks] < 0.9 * hosvd


@settings(max_examples=40, deadline=None)
@given(
    SHAPES,
    st.booleans(),
    st.sampled_from([(True, "identity"), (True, "live"), (True, "dead"), (False, "dead")]),
    st.integers(0, 2**31),
    st.data(),
)
def test_a_dead_input_channel_does_no_harm(
    shape: tuple[int, int, tuple[int, int]], linear: bool, death: tuple[bool, str], seed: int, draw: st.DataObject
) -> None:
    """A channel without weights, without signal, or both: every rank is finite and exact, deployed in both forms."""
    out, in_, kernel = shape
    zero_weights, patches_are = death
    size, generator = kernel[0] * kernel[1], torch.Generator().manual_seed(seed)
    weight, patches, bias = (
        torch.randn(*n, generator=generator, dtype=torch.float64)
        for n in ((out, in_, *kernel), (3 * in_ * size, in_, size), (out,))
    )
    dead = draw.draw(st.integers(0, in_ - 1))
    if zero_weights:
        weight[:, dead] = 0
    if patches_are == "dead":
        patches[:, dead] = 0
    rows = patches.flatten(1)
    sigma = None if patches_are == "identity" else shrink(rows.T @ rows / len(rows))
    spec = LayerSpec(name="layer", kind="conv2d", channels_out=out, channels_in=in_, kernel=kernel)
    case = Case(spec, weight, sigma, None)
    dense: nn.Conv2d | nn.Linear = nn.Conv2d(in_, out, kernel, dtype=torch.float64)
    x = patches.reshape(len(patches), in_, *kernel)
    if linear and size == 1:
        dense, x = nn.Linear(in_, out, dtype=torch.float64), patches[:, :, 0]
    dense.bias = nn.Parameter(bias)
    for ranks in draw.draw(st.lists(st.sampled_from(case.all_ranks()), min_size=1, max_size=6)):
        factors = case.bases.factors(ranks)
        composed = factors.kernel()
        assert torch.isfinite(composed).all()
        assert abs(case.distortion(composed) - case.bases.table[ranks]) <= 1e-11 * case.bases.table.total
        expected = rows @ composed.reshape(out, -1).T + bias
        for form in FORMS:
            found = deploy(dense, factors, form)(x).reshape(expected.shape)
            torch.testing.assert_close(found, expected, rtol=1e-7, atol=1e-7)
    if zero_weights and in_ > 1:  # as many ranks as live channels need: nothing is lost
        live = full_ranks(msgspec.structs.replace(spec, channels_in=in_ - 1))
        assert case.bases.table.distortion[tuple(r - 1 for r in live)] <= 1e-11 * case.bases.table.total


@pytest.mark.parametrize("spec", [SPEC, LayerSpec(name="fc", kind="linear", channels_out=6, channels_in=4)])
def test_a_weight_of_zeros(spec: LayerSpec) -> None:
    bases = nested_bases(spec, torch.zeros(6, 4, *spec.kernel))
    assert bases.table.total == 0
    assert not bases.table.relative.any()
    ranks = Tucker2(2, 2) if spec.format == "tucker2" else Svd(2)
    assert not bases.factors(ranks).kernel().any()


@pytest.mark.parametrize("ranks", [Tucker2(7, 4), Tucker2(1, 5), Svd(2), Dense("kept")])
def test_ranks_that_do_not_fit_are_refused_by_name(ranks: LayerRanks) -> None:
    with pytest.raises(RankError, match="'conv'"):
        nested_bases(SPEC, torch.randn(6, 4, 3, 3)).factors(ranks)


@pytest.mark.parametrize(
    ("weight", "sigma", "gamma", "law"),
    [
        (torch.full((6, 4, 3, 3), torch.nan), None, None, "weight holds NaN"),
        (torch.zeros(6, 5, 3, 3), None, None, r"weight must be \(6, 36\)"),
        (torch.ones(6, 4, 3, 3), torch.eye(4), None, r"patch covariance must be \(36, 36\)"),
        (torch.ones(6, 4, 3, 3), None, torch.zeros(6, 6), "shrink"),
        (torch.ones(6, 4, 3, 3), torch.ones(36, 36), None, "shrink"),
        (torch.ones(6, 4, 3, 3), torch.diag(torch.tensor([0.0] + 35 * [1.0])), None, "shrink"),
    ],
)
def test_what_cannot_be_decomposed_is_named(
    weight: Tensor, sigma: Tensor | None, gamma: Tensor | None, law: str
) -> None:
    with pytest.raises(RankError, match=f"'conv'.*{law}"):
        nested_bases(SPEC, weight, sigma, gamma)


def test_factors_share_no_storage_with_the_bases() -> None:
    bases = nested_bases(SPEC, torch.randn(6, 4, 3, 3))
    first = bases.factors(Tucker2(6, 4))
    kernel = first.kernel()
    for tensor in (first.core, first.factor_out, first.factor_in):
        assert tensor is not None
        tensor.zero_()
    torch.testing.assert_close(bases.factors(Tucker2(6, 4)).kernel(), kernel)


@pytest.mark.parametrize(
    ("given_dtype", "kept"), [(torch.bfloat16, torch.float32), (torch.float32, torch.float32), (torch.float64,) * 2]
)
def test_dtype_of_the_bases(given_dtype: torch.dtype, kept: torch.dtype) -> None:
    factors = nested_bases(SPEC, torch.randn(6, 4, 3, 3).to(given_dtype)).factors(Tucker2(2, 2))
    assert {t.dtype for t in (factors.core, factors.factor_out, factors.factor_in) if t is not None} == {kept}


def test_network_bases_go_by_layer_name() -> None:
    network = nn.Sequential(nn.Conv2d(4, 6, 3), nn.ReLU(), nn.Conv2d(6, 5, 1), nn.Flatten(), nn.Linear(20, 3))
    layers = (
        LayerSpec(name="0", kind="conv2d", channels_out=6, channels_in=4, kernel=(3, 3)),
        LayerSpec(name="2", kind="conv2d", channels_out=5, channels_in=6),
        LayerSpec(name="4", kind="linear", channels_out=3, channels_in=20),
    )
    bases = network_bases(network, NetworkSpec(layers=layers, params=0, macs=0))
    assert list(bases) == ["0", "2", "4"]
    weight = network.get_parameter("4.weight")
    torch.testing.assert_close(bases["4"].factors(Svd(3)).kernel()[:, :, 0, 0], weight.detach())

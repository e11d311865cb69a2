"""Energy thresholds: every mode retains the same share, to a step."""

import numpy as np
import pytest

from ranksearch.allocation.energy import energy
from ranksearch.layers import ErrorTable, LayerSpec, Svd
from ranksearch.layers.configuration import as_tuple


@pytest.mark.parametrize("form", ["plain", "pivoted"])
@pytest.mark.parametrize("ratio", [2.0, 4.0, 8.0])
def test_one_threshold_lies_between_what_each_mode_retains_with_and_without_its_last_rank(resnet20, form, ratio):
    network, tables = resnet20
    found = energy(network, tables, ratio, form=form)
    without, with_ = [], []
    for name in network.names:
        for rank, spectrum in zip(as_tuple(found[name]), tables[name].spectra, strict=False):
            kept = np.append(0, np.cumsum(spectrum) / spectrum.sum())
            without.append(kept[rank - 1])
            with_.append(kept[rank])
    assert len(with_) > 20
    assert max(without) <= min(with_)


def test_a_steep_spectrum_gets_fewer_ranks_than_a_flat_one(network_of):
    specs = [LayerSpec(name=n, kind="linear", channels_out=16, channels_in=16) for n in ("steep", "flat")]
    spectra = {"steep": 0.5 ** np.arange(16.0), "flat": np.ones(16)}
    tables = {n: ErrorTable((s.sum() - np.cumsum(s)).clip(0), s.sum(), (s,)) for n, s in spectra.items()}
    found = energy(network_of(specs), tables, 2.0, form="plain")
    assert found["steep"].rank < found["flat"].rank


def test_a_layer_without_energy_needs_one_rank_only(network_of):
    specs = [LayerSpec(name=n, kind="linear", channels_out=16, channels_in=16) for n in ("zero", "flat")]
    zero = ErrorTable(np.zeros(16), 0.0, (np.zeros(16),))
    flat = ErrorTable(np.arange(15.0, -1, -1), 16.0, (np.ones(16),))
    found = energy(network_of(specs), {"zero": zero, "flat": flat}, 2.0, form="plain")
    assert found["zero"] == Svd(1)

"""The search of layer weights: never worse than equal weights, the same under a seed, at the ratio."""

import math

import numpy as np
import pytest

from ranksearch.allocation import RateDistortion
from ranksearch.layers import ErrorTable, LayerSpec, NetworkSpec, RankConfiguration, network_cost
from ranksearch.records import Measurement
from ranksearch.subject.weight_search import search_weights

SPECTRUM = 0.9 ** np.arange(32.0)
SPECS = [LayerSpec(name=n, kind="linear", channels_out=32, channels_in=32) for n in "abc"]
NETWORK = NetworkSpec(layers=tuple(SPECS), params=3 * 1024, macs=3 * 1024)
TABLES = {n: ErrorTable((SPECTRUM.sum() - np.cumsum(SPECTRUM)).clip(0), SPECTRUM.sum(), (SPECTRUM,)) for n in "abc"}
HIDDEN = {"a": 1.0, "b": 30.0, "c": 0.1}  # what a layer's loss really counts


class Look:
    """A measurement whose distance knows the layers' hidden weights; counts its calls."""

    def __init__(self) -> None:
        self.calls: list[str] = []

    def distance(self, configuration: RankConfiguration) -> float:
        lost = {name: -math.log1p(-TABLES[name][configuration[name]] / TABLES[name].total) for name in HIDDEN}
        return sum(HIDDEN[name] * lost[name] for name in HIDDEN)

    def __call__(self, configuration: RankConfiguration) -> Measurement:
        self.calls.append(configuration.digest)
        return Measurement(0.5, self.distance(configuration), "search", 100)


def test_it_finds_nearer_networks_at_the_ratio_and_repeats_itself() -> None:
    allocate, look, seen = RateDistortion(NETWORK, TABLES), Look(), []
    found = search_weights(allocate, 4.0, look, candidates=60, on_candidate=lambda *a: seen.append(a))
    assert [number for number, _ in seen] == list(range(2, 61))
    assert [least for _, least in seen] == sorted((least for _, least in seen), reverse=True)
    assert look.distance(found) == seen[-1][1] < 0.9 * look.distance(allocate(4.0))
    assert network_cost(NETWORK, found, "pivoted").compression_ratio >= 4
    assert len(look.calls) == len(set(look.calls)) <= 60
    assert search_weights(allocate, 4.0, Look(), candidates=60) == found


def test_seeds_take_other_ways() -> None:
    ways = [Look() for _ in range(2)]
    for seed, look in enumerate(ways):
        search_weights(RateDistortion(NETWORK, TABLES), 4.0, look, candidates=9, seed=seed)
    assert ways[0].calls[0] == ways[1].calls[0]  # equal weights
    assert ways[0].calls != ways[1].calls


@pytest.mark.parametrize("distance", [1.0, None])
def test_one_candidate_is_the_closed_form_and_useless_ones_never_win(distance: float | None) -> None:
    allocate, closed = RateDistortion(NETWORK, TABLES), RateDistortion(NETWORK, TABLES)(4.0)

    def look(configuration: RankConfiguration) -> Measurement:
        return Measurement(0.0, distance if configuration == closed else None, "search", 100)

    assert search_weights(allocate, 4.0, look, candidates=1) == closed
    assert search_weights(allocate, 4.0, look, candidates=9) == closed

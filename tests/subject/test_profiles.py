"""Measured profiles: what each layer alone costs, rising with what it loses, usable as a distortion."""

import pytest

from ranksearch.allocation import DISTORTIONS, RateDistortion
from ranksearch.layers import layer_params, network_cost
from ranksearch.runner.session import Session
from ranksearch.subject.looks import quick_looks
from ranksearch.subject.profiles import SHARES, measure_profiles, settings


def test_every_layer_is_measured_at_a_few_sizes_and_the_profiles_allocate(session: Session) -> None:
    seen: list[str] = []
    spec = session.subject.spec
    look = quick_looks(session.subject, session.bases, None, ["untrained"], 1000)["untrained"]
    profiles = measure_profiles(spec, session.tables, "pivoted", look, on_layer=seen.append)
    assert tuple(seen) == spec.names
    for name, points in profiles.points.items():
        assert 2 <= len(points) <= len(SHARES), name
        assert points[-1][1] > points[0][1], name
    found = RateDistortion(spec, session.tables, distortion=profiles)(3.0)
    assert network_cost(spec, found, "pivoted").compression_ratio >= 3
    assert measure_profiles(spec, session.tables, "pivoted", look) == profiles


def test_the_sizes_lie_near_their_shares_of_the_dense_layer(session: Session) -> None:
    allocate = RateDistortion(session.subject.spec, session.tables, distortion=DISTORTIONS["log"])
    widest = max(allocate.candidates, key=lambda c: c.choices.dense)
    looks = settings(widest, session.tables[widest.choices.spec.name])
    assert [relative for relative, _ in looks] == sorted(relative for relative, _ in looks)
    for (_, ranks), share in zip(looks, sorted(SHARES, reverse=True), strict=True):
        assert layer_params(widest.choices.spec, ranks, "pivoted") / widest.choices.dense == pytest.approx(
            share, abs=0.1
        )

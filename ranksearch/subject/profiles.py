"""Measured distortions: what the network's outputs lose while one layer alone is compressed, at a few sizes each."""

from collections.abc import Callable, Mapping

import numpy as np

from ..allocation import DISTORTIONS, Profiles, RateDistortion
from ..allocation.candidates import Candidates
from ..errors import NonFiniteError
from ..layers import ErrorTable, Form, LayerRanks, NetworkSpec, RankConfiguration
from ..records import Measurement

SHARES = (1 / 8, 1 / 4, 1 / 2, 3 / 4)  # of a layer's dense parameters
LEAST_DISTANCE = 1e-9  # what rounding may make 0


def measure_profiles(
    network: NetworkSpec,
    tables: Mapping[str, ErrorTable],
    form: Form,
    look: Callable[[RankConfiguration], Measurement],
    on_layer: Callable[[str], None] | None = None,
) -> Profiles:
    """Distance from the dense outputs against each layer's relative distortion, along the layer's own hull.

    Args:
        look: a quick measurement (:class:`~ranksearch.progressive.QuickLook`), at most four per layer.
        on_layer: called with the name of each layer that is measured next.

    Raises:
        NonFiniteError: outputs became infinite or NaN.
    """
    found = {}
    for candidates in RateDistortion(network, tables, form, distortion=DISTORTIONS["log"]).candidates:
        name = candidates.choices.spec.name
        if on_layer:
            on_layer(name)
        found[name] = [
            (relative, distance(look, RankConfiguration({name: ranks})))
            for relative, ranks in settings(candidates, tables[name])
        ]
    return Profiles(found)


def settings(candidates: Candidates, table: ErrorTable) -> list[tuple[float, LayerRanks]]:
    """Ranks of one layer nearest to each of :data:`SHARES`, by rising relative distortion, where something is lost."""
    curve, choices = candidates.curve(0.0), candidates.choices
    nearest = {curve.ranks[int(np.abs(curve.cost - share * choices.dense).argmin())] for share in SHARES}
    looks = [choices.layer_ranks(ranks) for ranks in nearest]
    by_distortion = {table[ranks] / table.total: ranks for ranks in looks if table[ranks] > 0}
    return sorted(by_distortion.items(), key=lambda pair: pair[0])


def distance(look: Callable[[RankConfiguration], Measurement], configuration: RankConfiguration) -> float:
    found = look(configuration).distance
    if found is None:
        raise NonFiniteError(f"the network's outputs are not finite with {configuration.layers} alone compressed")
    return max(found, LEAST_DISTANCE)

"""The paired bootstrap between two cheap stages: it finds a real difference, and none where there is none."""

import numpy as np
import pandas as pd
import pytest

from ranksearch.front import compare_stages
from ranksearch.front.stage_comparison import ENOUGH
from ranksearch.front.stages import partial_spearman


def table(n: int, untrained_noise: float, elastic_noise: float, *, seed: int = 0) -> pd.DataFrame:
    random = np.random.default_rng(seed)
    ratio, good = 2 ** random.uniform(1, 3, n), random.standard_normal(n)
    distance = {
        f"stage/{stage}/distance": ratio - good + noise * random.standard_normal(n)
        for stage, noise in (("untrained", untrained_noise), ("elastic", elastic_noise))
    }
    found = {"accuracy": 0.9 - 0.1 * ratio + 0.1 * good, "compression_ratio": ratio, "failure": "", "stopped": ""}
    return pd.DataFrame(found | distance)


@pytest.mark.parametrize(("noises", "better"), [((3.0, 0.2), "elastic"), ((0.2, 3.0), "untrained")])
def test_a_better_stage_is_named(noises, better):
    trials = table(60, *noises)
    found = compare_stages(trials)
    assert found.better == better
    assert found.low <= found.difference <= found.high
    foretold = [
        partial_spearman(-trials[f"stage/{stage}/distance"], trials["accuracy"], trials["compression_ratio"])
        for stage in ("untrained", "elastic")
    ]
    assert found.difference == pytest.approx(foretold[1] - foretold[0])


def test_equal_stages_are_not_told_apart():
    verdicts = [compare_stages(table(40, 1.0, 1.0, seed=seed)).better for seed in range(20)]
    assert verdicts.count(None) >= 17
    same = table(40, 1.0, 1.0)
    same["stage/elastic/distance"] = same["stage/untrained/distance"]
    found = compare_stages(same)
    assert (found.difference, found.low, found.high, found.better) == (0, 0, 0, None)


def test_few_trials_overrule_nothing_and_repeat_themselves():
    few = compare_stages(table(ENOUGH - 1, 3.0, 0.2))
    assert few.low > 0
    assert few.better is None
    assert few == compare_stages(table(ENOUGH - 1, 3.0, 0.2))


def test_only_what_both_stages_saw_to_the_end_counts():
    trials = table(40, 1.0, 1.0)
    trials.loc[0, "failure"], trials.loc[1, "stopped"], trials.loc[2, "stage/elastic/distance"] = (
        "NaN",
        "hopeless",
        None,
    )
    assert compare_stages(trials).n == 37
    assert compare_stages(trials.drop(columns="stage/elastic/distance")) is None
    assert compare_stages(trials[:1]) is None

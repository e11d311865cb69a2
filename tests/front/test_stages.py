"""Rank correlations of cheap stages with trained networks, against cases computed by hand and by SciPy."""

import math

import numpy as np
import pytest
from scipy import stats

from ranksearch.front import stage_table, study_table, trial_table
from ranksearch.front.stages import interval, partial_spearman, precision_at, spearman
from ranksearch.records import Measurement


def said(accuracy, distance):
    return {"untrained": Measurement(accuracy, distance, "search", 100)}


def test_rank_correlation_with_ties_is_scipys():
    x, y = np.array([1.0, 2, 2, 5, 3, 0]), np.array([2.0, 1, 4, 9, 9, 0])
    assert spearman(x, y) == pytest.approx(stats.spearmanr(x, y).statistic)
    assert math.isnan(spearman(x, np.ones(6)))


def test_partial_correlation_by_hand():
    # r_xy = 0.8, r_xz = 0.4, r_yz = 0.2 over four ranks: (0.8 − 0.08) / √(0.84 · 0.96)
    x, y, z = np.array([1.0, 2, 3, 4]), np.array([1.0, 3, 2, 4]), np.array([3.0, 1, 2, 4])
    expected = (spearman(x, y) - spearman(x, z) * spearman(y, z)) / math.sqrt(
        (1 - spearman(x, z) ** 2) * (1 - spearman(y, z) ** 2)
    )
    assert (spearman(x, y), spearman(x, z)) == pytest.approx((0.8, 0.4))
    assert partial_spearman(x, y, z) == pytest.approx(expected)
    # both follow size alone: nothing is left
    assert math.isnan(partial_spearman(z, z, z))
    assert partial_spearman(x, y, np.ones(4)) == pytest.approx(0.8)  # equal size already


def test_partial_correlation_is_that_of_residual_ranks():
    generator = np.random.default_rng(0)
    z = generator.standard_normal(50)
    x, y = z + generator.standard_normal(50), z - 0.5 * generator.standard_normal(50)
    ranks = [stats.rankdata(v) for v in (x, y, z)]
    left = [r - np.polyval(np.polyfit(ranks[2], r, 1), ranks[2]) for r in ranks[:2]]
    assert partial_spearman(x, y, z) == pytest.approx(np.corrcoef(*left)[0, 1])


def test_interval_by_hand():
    # z = atanh 0.5 = 0.5493, error √(1.125 / 25) = 0.2121, ±1.96 of it: 0.1336 … 0.9650
    assert interval(0.5, 28) == pytest.approx((math.tanh(0.13358), math.tanh(0.96504)), abs=1e-4)
    low, high = interval(1.0, 12)
    assert low > 0.99
    assert high <= 1
    assert all(map(math.isnan, (*interval(math.nan, 20), *interval(0.5, 3))))


def test_precision_at_k():
    assert precision_at(2, np.array([9.0, 8, 1, 0]), np.array([5.0, 1, 6, 0])) == 0.5
    assert precision_at(1, np.array([9.0, 8]), np.array([5.0, 1])) == 1


def make_table(trial, history_of, n, *, origin="sampler", noise=0.0):
    generator = np.random.default_rng(3)
    rows = []
    for i in range(n):
        good = float(generator.uniform())
        accuracy = 0.9 - 0.01 * i + 0.05 * good  # size weighs most
        seen = good + noise * float(generator.standard_normal())
        rows.append(
            trial(
                i, accuracy, 2.0 ** (1 + i / n), origin="screen" if i % 3 == 0 else origin,
                stages=said(0.5 - 0.005 * i + 0.025 * seen, 1.0 + 0.02 * i - 0.1 * seen),
            )
        )  # fmt: skip
    return trial_table(history_of(rows))


def test_a_stage_that_sees_everything_agrees_at_any_and_at_equal_size(trial, history_of):
    table = stage_table(make_table(trial, history_of, 30))
    assert table[["stage", "score", "trials"]].to_numpy().tolist() == [
        ["untrained", "distance", "all"],
        ["untrained", "distance", "sampler"],
        ["untrained", "accuracy", "all"],
        ["untrained", "accuracy", "sampler"],
    ]
    assert table["n"].tolist() == [30, 20, 30, 20]
    assert table["k"].tolist() == [8, 5, 8, 5]
    assert (table["accuracy/any"] > 0.99).all()
    assert (table["precision/any"] == 1).all()
    assert (table["accuracy/any/low"] <= table["accuracy/any"]).all()
    assert (table["accuracy/any"] <= table["accuracy/any/high"]).all()


def test_noise_at_equal_size_shows_there_alone(trial, history_of):
    table = stage_table(make_table(trial, history_of, 40, noise=2)).iloc[0]
    assert table["accuracy/any"] > 0.7
    assert table["accuracy/equal"] < 0.5
    assert table["accuracy/equal/low"] < table["accuracy/equal"] < table["accuracy/equal/high"]


def test_too_few_say_nothing_and_failed_ones_do_not_count(trial, history_of):
    rows = [trial(i, 0.5 + i / 100, 2 + i / 10, stages=said(0.1 * i, 1.0 / (i + 1))) for i in range(12)]
    rows += [
        trial(12, 0.0, 3.0, stages=said(0.1, 1.0), failure="loss is NaN"),
        trial(13, 0.4, 3.0, stages=said(0.1, None)),
        trial(14, 0.4, 3.0),
    ]
    found = stage_table(trial_table(history_of(rows))).set_index(["score", "trials"])
    assert found.loc[("distance", "all"), "n"] == 12
    assert found.loc[("accuracy", "all"), "n"] == 13  # outputs that were not finite have an accuracy
    few = stage_table(trial_table(history_of(rows[:9])))
    assert few["n"].tolist() == [9] * 4
    assert few.filter(like="/").isna().all(axis=None)


def test_a_study_without_cheap_stages(trial, history_of):
    table = trial_table(history_of([trial(0, 0.9, 2.0)]))
    assert not [column for column in table if column.startswith("stage/")]
    assert stage_table(table).empty
    assert stage_table(trial_table(history_of([]))).empty


def test_stages_are_columns_of_the_tables(trial, history_of):
    history = history_of([trial(0, 0.9, 2.0, stages=said(0.4, 1.5)), trial(1, 0.8, 3.0)], baselines=[trial(0, 0.7, 2)])
    table = study_table(history)
    assert table["stage/untrained/distance"].tolist()[0] == 1.5
    assert table["stage/untrained/accuracy"].isna().tolist() == [False, True, True]
    assert table["stage/untrained/accuracy"].dtype == "float64"

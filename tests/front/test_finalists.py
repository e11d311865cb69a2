"""Finalists: means over seeds, nothing mixed that was trained differently, and the correlation with the search."""

import math

import pytest

from ranksearch.front import finalist_table, search_test_correlation
from ranksearch.layers import RankConfiguration, Svd, Tucker2
from ranksearch.records import Measurement, Recipe, TrainingCost

RANKS = [RankConfiguration({"conv": Tucker2(n, n), "fc": Svd(n)}) for n in (4, 3, 2, 1)]
LONG = Recipe(images=1000)


def finalist(trial, number, ranks, accuracy, ratio=2.0, origin="finalist", split="test", recipe=LONG, **changes):
    changes["cost"] = TrainingCost(images=recipe.images, seconds=1.0)
    changes["measured"] = Measurement(accuracy, 0.1, split, 500)
    return trial(number, accuracy, ratio, configuration=ranks, origin=origin, recipe=recipe, **changes)


def test_mean_and_deviation_over_the_seeds_beside_the_search_accuracy(trial, history_of, dense_ranks):
    history = history_of(
        [
            trial(0, 0.90, 2.0, configuration=RANKS[0]),
            trial(1, 0.92, 2.0, configuration=RANKS[0], recipe=Recipe(images=50)),
        ],
        finalists=[
            finalist(trial, 0, RANKS[0], 0.80),
            finalist(trial, 1, RANKS[0], 0.84),
            finalist(trial, 2, dense_ranks, 0.93, ratio=1.0, origin="dense control"),
        ],
    )
    table = finalist_table(history)
    assert table["origin"].tolist() == ["dense control", "finalist"]
    row = table.iloc[1]
    assert row["accuracy_mean"] == pytest.approx(0.82)
    assert row["accuracy_std"] == pytest.approx(0.04 / math.sqrt(2))
    assert (row["seeds"], row["failures"], row["search_accuracy"]) == (2, 0, 0.92)
    assert (row["compression_ratio_plain"], row["compression_ratio_pivoted"]) == (1.8, 2.0)
    assert math.isnan(table.iloc[0]["accuracy_std"])
    assert math.isnan(table.iloc[0]["search_accuracy"])


def test_other_recipes_splits_and_failures_are_kept_apart(trial, history_of):
    history = history_of(
        finalists=[
            finalist(trial, 0, RANKS[0], 0.80),
            finalist(trial, 1, RANKS[0], 0.0, failure="loss is NaN"),
            finalist(trial, 2, RANKS[0], 0.90, recipe=Recipe(images=5000)),
            finalist(trial, 3, RANKS[0], 0.95, split="search"),
            finalist(trial, 4, RANKS[1], 0.0, failure="loss is NaN"),
        ]
    )
    table = finalist_table(history).set_index(["digest", "images", "split"])
    assert len(table) == 4
    assert table.loc[(RANKS[0].digest, 1000, "test"), ["accuracy_mean", "seeds", "failures"]].tolist() == [0.8, 1, 1]
    assert table.loc[(RANKS[0].digest, 5000, "test"), "accuracy_mean"] == 0.9
    assert table.loc[(RANKS[0].digest, 1000, "search"), "accuracy_mean"] == 0.95
    failed = finalist_table(history).query("seeds == 0").iloc[0]
    assert math.isnan(failed["accuracy_mean"])
    assert failed["failures"] == 1


def test_the_control_is_the_one_that_was_trained_as_long(trial, history_of, dense_ranks):
    longer = Recipe(images=5000)
    beside = [
        finalist(trial, n, dense_ranks, accuracy, ratio=1.0, origin="dense control", recipe=recipe.control)
        for n, (accuracy, recipe) in enumerate([(0.90, LONG), (0.92, LONG), (0.95, longer)])
    ]
    compressed = [finalist(trial, 3, RANKS[0], 0.80), finalist(trial, 4, RANKS[0], 0.85, recipe=longer)]
    compressed.append(finalist(trial, 5, RANKS[1], 0.85, recipe=Recipe(images=7000)))
    table = finalist_table(history_of(finalists=beside + compressed))
    of = table[table["origin"] == "finalist"].set_index("images")["control_accuracy"]
    assert of[1000] == pytest.approx(0.91)
    assert of[5000] == pytest.approx(0.95)
    assert math.isnan(of[7000])


def test_a_baseline_counts_as_searched(trial, history_of):
    history = history_of(
        baselines=[trial(0, 0.88, 2.0, configuration=RANKS[0])], finalists=[finalist(trial, 0, RANKS[0], 0.8)]
    )
    assert finalist_table(history)["search_accuracy"].tolist() == [0.88]


@pytest.mark.parametrize(
    ("tests", "expected"), [((0.8, 0.7, 0.6, 0.5), 1.0), ((0.5, 0.6, 0.7, 0.8), -1.0), ((0.8, 0.6, 0.7, 0.5), 0.8)]
)
def test_the_correlation_is_that_of_ranks(trial, history_of, tests, expected):
    history = history_of(
        [trial(i, 0.9 - 0.01 * i**2, 2.0, configuration=r) for i, r in enumerate(RANKS)],
        finalists=[finalist(trial, i, r, tests[i]) for i, r in enumerate(RANKS)],
    )
    assert search_test_correlation(finalist_table(history)) == pytest.approx(expected)


def test_no_correlation_of_two_or_of_equals_or_of_what_was_not_tested(trial, history_of):
    searched = [trial(i, 0.9 - 0.1 * i, 2.0, configuration=r) for i, r in enumerate(RANKS)]
    two = [finalist(trial, i, RANKS[i], 0.8 - i / 10) for i in (0, 1)]
    assert search_test_correlation(finalist_table(history_of(searched, finalists=two))) is None
    equal = [finalist(trial, i, r, 0.8) for i, r in enumerate(RANKS)]
    assert search_test_correlation(finalist_table(history_of(searched, finalists=equal))) is None
    untested = [finalist(trial, i, r, 0.8 - i / 10, split="search") for i, r in enumerate(RANKS)]
    assert search_test_correlation(finalist_table(history_of(searched, finalists=untested))) is None


def test_an_empty_study(history_of):
    table = finalist_table(history_of())
    assert table.empty
    assert {"origin", "accuracy_mean", "accuracy_std", "seeds", "search_accuracy"} <= set(table.columns)
    assert search_test_correlation(table) is None

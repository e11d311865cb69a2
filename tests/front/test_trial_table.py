"""The tidy table: one row per measurement, exact columns, running values in the order of finishing."""

from datetime import datetime, timedelta, timezone

import hypothesis.strategies as st
import msgspec
import numpy as np
import pandas as pd
import pytest
from hypothesis import given

from ranksearch.front import study_table, trial_table
from ranksearch.layers import NetworkCost, RankConfiguration, Svd, Tucker2
from ranksearch.pareto import dominates
from ranksearch.records import DecaySchedule, Latency, LatencyComparison, Recipe, Trial

POINTS = st.lists(st.tuples(st.sampled_from([0.0, 0.6, 0.7, 0.8]), st.sampled_from([1.5, 2.0, 4.0])), max_size=10)


def test_a_row_says_what_the_record_says(trial, history_of):
    schedule = DecaySchedule(shape="linear", fade="full", end=0.25)
    row = trial_table(history_of([trial(3, 0.9, 4.0, schedule=schedule, recipe=Recipe(images=100, lr=0.5))])).iloc[0]
    expected = {
        "number": 3, "origin": "sampler", "accuracy": 0.9, "compression_ratio": 4.0, "compression_ratio_plain": 3.6,
        "compression_ratio_pivoted": 4.0, "params": 450, "macs": 2400, "split": "search", "seed": 3, "seconds": 2.5,
        "images": 100, "failure": "", "schedule/shape": "linear", "schedule/fade": "full", "schedule/end": 0.25,
        "recipe/lr": 0.5, "rank/conv/rank_out": 4, "rank/conv/rank_in": 1, "rank/fc/rank": 3, "on_front": True,
    }  # fmt: skip
    assert {key: row[key] for key in expected} == expected


def test_the_count_of_the_study_is_the_counted_one(trial, history_of):
    row = trial_table(history_of([trial(0, 0.9, 4.0, form="plain")], form="plain")).iloc[0]
    assert (row["compression_ratio"], row["params"], row["mac_ratio"]) == (3.6, 500, 2.0)


def test_a_dense_layer_has_no_ranks(trial, history_of, dense_ranks):
    table = trial_table(history_of([trial(0, 0.9, 1.0, configuration=dense_ranks), trial(1, 0.8, 2.0)]))
    assert table["rank/conv/rank_out"].dtype == "Int64"
    assert table["rank/conv/rank_out"].isna().tolist() == [True, False]
    assert table["rank/fc/rank"].isna().tolist() == [True, False]


def test_only_measurements_in_the_order_of_ending(trial, history_of):
    trials = [
        trial(0, 0.9, 2.0, minute=9),
        trial(1, 0.8, 3.0, minute=3),
        trial(2, 0.8, 3.0, copy_of=1),
        Trial(number=3, state="running"),
        Trial(number=4, state="failed", reason="out of memory"),
        Trial(number=5, state="stopped"),
    ]
    assert trial_table(history_of(trials))["number"].tolist() == [1, 0]


def test_a_stopped_trial_costs_and_is_never_on_the_front(trial, history_of):
    whole, cut = trial(0, 0.8, 2.0), trial(1, 0.99, 9.0, stopped="by the rule 'neighbours'")
    table = trial_table(history_of([whole, msgspec.structs.replace(cut, state="stopped")]))
    assert table["stopped"].tolist() == ["", "by the rule 'neighbours'"]
    assert table["on_front"].tolist() == [True, False]
    assert table["hypervolume"][0] == table["hypervolume"][1]
    assert table["images_total"].tolist() == [100, 200]


@given(POINTS)
def test_the_front_is_what_no_other_row_dominates(trial, history_of, points):
    table = trial_table(history_of([trial(i, *p) for i, p in enumerate(points)]))
    for (a, r), kept in zip(points, table["on_front"], strict=True):
        assert not kept or not any(dominates(p, (a, r)) for p in points)
    assert {p for p, kept in zip(points, table["on_front"], strict=True) if kept} == {
        p for p in points if not any(dominates(q, p) for q in points)
    }


def test_a_third_objective_has_its_say(trial, history_of):
    slow, fast = (trial(i, 0.9 - i / 10, 4.0, pivoted=NetworkCost(450, 1, 4.0, 1.0 + i)) for i in (0, 1))
    assert trial_table(history_of([slow, fast]))["on_front"].tolist() == [True, False]
    three = history_of([slow, fast], objectives=("accuracy", "compression_ratio", "mac_ratio"))
    assert trial_table(three)["on_front"].tolist() == [True, True]


def compared(seconds: float) -> LatencyComparison:
    dense, compressed = (Latency(1, s, s, s) for s in (0.02, seconds))
    return LatencyComparison(compressed, dense, threads=1)


def test_latency_is_an_objective_or_a_floor(trial, history_of):
    slow, fast = trial(0, 0.9, 4.0, latency=compared(0.04)), trial(1, 0.8, 4.0, latency=compared(0.01))
    table = trial_table(history_of([slow, fast]))
    assert table[["latency_ratio", "latency"]].to_numpy().tolist() == [[0.5, 0.04], [2.0, 0.01]]
    assert table["on_front"].tolist() == [True, False]
    three = history_of([slow, fast], objectives=("accuracy", "compression_ratio", "latency_ratio"))
    assert trial_table(three)["on_front"].tolist() == [True, True]
    faster = history_of([slow, fast], floors={"latency_ratio": 1.5})
    assert trial_table(faster)["on_front"].tolist() == [False, True]
    assert trial_table(faster)["hypervolume"].iloc[0] == 0
    assert [t.number for t in faster.front()] == [1]


def test_without_latencies_there_is_none_in_the_table(trial, history_of):
    assert trial_table(history_of([trial(0, 0.9, 4.0)]))["latency_ratio"].isna().all()


def test_a_failed_trial_is_in_the_table_and_never_on_the_front(trial, history_of):
    table = trial_table(history_of([trial(0, 0.0, 9.0, failure="loss is NaN"), trial(1, 0.8, 2.0)]))
    assert table["on_front"].tolist() == [False, True]
    assert table["failure"].tolist() == ["loss is NaN", ""]
    assert table["hypervolume"].iloc[0] == 0


@given(POINTS)
def test_running_values_are_those_of_every_prefix(trial, history_of, points):
    history = history_of([trial(i, *p) for i, p in enumerate(points)])
    table = trial_table(history)
    prefixes = [([a for a, _ in points[:n]], [r for _, r in points[:n]]) for n in range(1, len(points) + 1)]
    assert table["hypervolume"].tolist() == pytest.approx([history.study.box.hypervolume(*p) for p in prefixes])
    assert table["seconds_total"].tolist() == [2.5 * len(a) for a, _ in prefixes]
    assert table["images_total"].tolist() == [100 * len(a) for a, _ in prefixes]


def test_an_empty_study_has_the_same_columns_and_types_of_values(trial, history_of):
    empty, full = trial_table(history_of()), trial_table(history_of([trial(0, 0.9, 2.0)]))
    assert len(empty) == 0
    assert list(empty.columns) == list(full.columns)
    fixed = [c for c in full.columns if not c.startswith(("schedule/", "recipe/"))]
    assert empty[fixed].dtypes.to_dict() == full[fixed].dtypes.to_dict()


def test_times_are_utc_without_a_zone_whatever_they_came_with(trial, history_of):
    zone = timezone(timedelta(hours=2))
    record = trial(0, 0.9, 2.0).record
    aware = Trial(number=0, state="complete", finished=datetime(2026, 3, 2, 11, 0, tzinfo=zone), record=record)
    assert trial_table(history_of([aware]))["finished"].iloc[0] == pd.Timestamp("2026-03-02 09:00")
    naive = Trial(number=0, state="complete", finished=datetime(2026, 3, 2, 9, 0), record=record)
    assert trial_table(history_of([naive]))["finished"].iloc[0] == pd.Timestamp("2026-03-02 09:00")


def test_rooms_are_read_apart(trial, history_of):
    history = history_of([trial(0, 0.9, 2.0)], baselines=[trial(7, 0.8, 2.0, origin="baseline uniform@2")])
    assert trial_table(history, "baselines")["origin"].tolist() == ["baseline uniform@2"]
    assert trial_table(history, "finalists").empty


def test_digest_names_the_ranks_and_key_also_the_training(trial, history_of):
    same = RankConfiguration({"conv": Tucker2(2, 2), "fc": Svd(1)})
    records = [{}, {"recipe": Recipe(images=200)}]
    table = trial_table(history_of([trial(i, 0.8, 2.0, configuration=same, **r) for i, r in enumerate(records)]))
    assert table["digest"].tolist() == [same.digest] * 2
    assert table["key"].iloc[0] != table["key"].iloc[1]
    assert np.array_equal(table["key"], [trial(0, 0, 2, configuration=same, **r).record.key for r in records])


def test_the_study_table_holds_every_room_once(trial, history_of):
    history = history_of([trial(0, 0.9, 4.0), trial(1, 0.8, 5.0)])
    history = msgspec.structs.replace(history, baselines=(trial(0, 0.7, 4.0, origin="baseline uniform@4"),))
    whole = study_table(history)
    assert whole["room"].tolist() == ["trials", "trials", "baselines"]
    assert whole["accuracy"].tolist() == [0.9, 0.8, 0.7]
    assert study_table(history_of([])).empty

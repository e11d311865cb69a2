"""The front beside what further seeds say of it."""

import math

import msgspec
import pytest

from ranksearch.front import confirmed_table, optimism, study_table
from ranksearch.records import StudyHistory


def again(of, accuracy, seed, **changes):
    """``of`` trained once more."""
    record = msgspec.structs.replace(of.record, seed=seed, origin=f"trial {of.number}", **changes)
    measured = msgspec.structs.replace(record.measured, accuracy=accuracy)
    return msgspec.structs.replace(of, number=seed, record=msgspec.structs.replace(record, measured=measured))


@pytest.fixture
def confirmed(trial, history_of) -> StudyHistory:
    """Three points of a front and one below; the second loses its place to the third, the first was seen once."""
    points = [trial(0, 0.95, 2.0), trial(1, 0.90, 4.0), trial(2, 0.86, 6.0), trial(3, 0.5, 3.0)]
    rows = [again(points[0], 0.94, 10), again(points[1], 0.84, 11), again(points[1], 0.82, 12),
            again(points[2], 0.85, 13), again(points[2], 0.85, 13),
            again(points[2], 0.0, 14, failure="NaN"), again(points[3], 0.1, 15)]  # fmt: skip
    return msgspec.structs.replace(history_of(points), confirmations=tuple(rows))


def test_means_are_over_the_further_seeds_alone(confirmed):
    table = confirmed_table(confirmed)
    assert table["number"].tolist() == [0, 1, 2]
    assert table["accuracy"].tolist() == [0.95, 0.90, 0.86]
    assert table["accuracy_mean"].tolist() == pytest.approx([0.94, 0.83, 0.85])
    assert math.isnan(table["accuracy_std"][0])
    assert table["accuracy_std"][1] == pytest.approx(0.02 / math.sqrt(2))
    assert table["seeds"].tolist() == [1, 2, 1]  # a seed that two processes trained counts once
    assert table["failures"].tolist() == [0, 0, 1]
    assert optimism(table) == pytest.approx((0.01 + 0.07 + 0.01) / 3)


def test_a_point_that_the_means_dominate_loses_its_place(confirmed):
    assert confirmed_table(confirmed)["still_on_front"].tolist() == [True, False, True]


def test_what_was_not_confirmed_is_neither_there_nor_gone(trial, history_of):
    table = confirmed_table(history_of([trial(0, 0.9, 2.0)]))
    assert table["seeds"].tolist() == [0]
    assert table["still_on_front"].isna().all()
    assert optimism(table) is None
    assert confirmed_table(history_of()).empty


def test_the_rows_are_a_room_of_their_own(confirmed):
    table = study_table(confirmed)
    assert (table["room"] == "confirmations").sum() == 7
    assert table.loc[table["room"] == "confirmations", "origin"].iloc[0] == "trial 0"

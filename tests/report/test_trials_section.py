"""The account of all trials."""

import msgspec

from ranksearch.records import StudyHistory
from ranksearch.report.blocks import Table, Text
from ranksearch.report.study_view import StudyView
from ranksearch.report.trials_section import outcomes_table, trials_section


def test_every_trial_is_counted_once(view: StudyView) -> None:
    table = outcomes_table(view)
    rows = {row[:2]: row[2:] for row in table.rows if row[0] == "search" and row[1] != "failed"}
    assert rows["search", "finished"] == ("36", "", "")
    assert rows["search", "useless"] == ("1", "4", "loss became NaN at step 112 of 500")
    assert rows["search", "copied"] == ("1", "8", "the same configuration had been measured")
    failed = [row[2:] for row in table.rows if row[1] == "failed"]
    assert failed == [("1", "7", "CUDA out of memory"), ("1", "9", "worker lost")]
    assert sum(int(row[2]) for row in table.rows) == sum(len(room) for room in view.rooms.values())


def test_equal_reasons_are_one_row(odd_views: dict[str, StudyView]) -> None:
    assert [row[1:] for row in outcomes_table(odd_views["failures only"]).rows] == [
        ("useless", "5", "0, 1, 2, 3, 4", "loss became NaN at step 112 of 500"),
        ("failed", "4", "5, 6, 7, 8", "worker lost"),
    ]


def test_what_it_cost(view: StudyView, odd_views: dict[str, StudyView]) -> None:
    cost, table = trials_section([view]).blocks
    assert isinstance(cost, Text)
    assert isinstance(table, Table)
    assert f"saw {37 * 64_000:,} training images" in cost.text
    assert "141 s had been estimated" in cost.text
    (nothing,) = trials_section([odd_views["empty"]]).blocks
    assert nothing == Text("No trial has been started yet.")


def test_a_stopped_trial_says_why(history: StudyHistory) -> None:
    first = history.trials[0]
    assert first.record
    record = msgspec.structs.replace(first.record, stopped="by the rule 'neighbours'")
    cut = msgspec.structs.replace(first, state="stopped", record=record)
    table = outcomes_table(StudyView(msgspec.structs.replace(history, trials=(cut, *history.trials[1:]))))
    assert ("search", "stopped", "1", "0", "by the rule 'neighbours'") in table.rows

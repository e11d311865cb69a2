"""The section on finalists."""

import msgspec
import numpy as np

from ranksearch.records import StudyHistory
from ranksearch.report.blocks import Text
from ranksearch.report.finalists_section import correlation_sentence, finalists_section, finalists_table
from ranksearch.report.study_view import StudyView


def cells(view: StudyView) -> list[dict[str, str]]:
    table = finalists_table(view)
    return [dict(zip((c.title for c in table.columns), row, strict=True)) for row in table.rows]


def test_means_stand_beside_the_dense_control(view: StudyView) -> None:
    control, *others = cells(view)
    accuracies = [t.record.measured.accuracy for t in view.history.finalists[-3:] if t.record]
    assert control["network"] == "dense control"
    assert control["accuracy"] == f"{100 * np.mean(accuracies):.2f} ± {100 * np.std(accuracies, ddof=1):.2f}\xa0%"
    assert control["to dense control"] == "0.0"
    assert control["trial"] == "–"
    assert len(others) == 3
    assert all(row["to dense control"].startswith("−") and row["split"] == "test" for row in others)


def test_a_finalist_names_the_trial_with_its_ranks(view: StudyView) -> None:
    digests = {str(t.number): t.record.configuration.digest for t in view.history.trials if t.record}
    wanted = [t.record.configuration.digest for t in view.history.finalists[0:9:3] if t.record]
    assert [digests[row["trial"]] for row in cells(view)[1:]] == wanted


def test_one_seed_has_no_spread_and_no_control_no_difference(history: StudyHistory) -> None:
    (row,) = cells(StudyView(msgspec.structs.replace(history, finalists=history.finalists[:1])))
    assert "±" not in row["accuracy"]
    assert row["to dense control"] == "–"
    assert row["seeds"] == "1"


def test_seeds_that_failed_are_counted(history: StudyHistory) -> None:
    first = history.finalists[0]
    assert first.record is not None
    bad = msgspec.structs.replace(first, record=msgspec.structs.replace(first.record, failure="loss became NaN"))
    rows = cells(StudyView(msgspec.structs.replace(history, finalists=(bad, *history.finalists[1:]))))
    assert "2 (1 failed)" in [row["seeds"] for row in rows]
    (alone,) = cells(StudyView(msgspec.structs.replace(history, finalists=(bad,))))
    assert alone["accuracy"] == "–"
    assert alone["seeds"] == "0 (1 failed)"


def test_the_correlation_says_how_many_pairs_it_has(view: StudyView, odd_views: dict[str, StudyView]) -> None:
    assert correlation_sentence(view.finalists).endswith("over 3 finalists: 1.00 (too few to judge by).")
    assert "0 finalists: not defined" in correlation_sentence(odd_views["empty"].finalists)


def test_without_finalists_the_command_is_named(odd_views: dict[str, StudyView]) -> None:
    (hint,) = finalists_section([odd_views["empty"]]).blocks
    assert isinstance(hint, Text)
    assert "ranksearch finetune" in hint.text

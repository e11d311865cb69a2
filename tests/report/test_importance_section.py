"""Importances of variables."""

import msgspec
import pytest

from ranksearch.records import StudyHistory
from ranksearch.report.blocks import Chart, Text
from ranksearch.report.importance_section import MOST, importance_bars, importance_section
from ranksearch.report.study_view import StudyView


def test_the_largest_come_first_and_the_rest_is_summed(view: StudyView) -> None:
    for bars in importance_bars(view):
        given = view.history.importances[bars.target]
        assert len(bars.names) == MOST < len(given)
        assert list(bars.shares[:-1]) == sorted(given.values(), reverse=True)[: MOST - 1]
        assert bars.names[-1] == f"{len(given) - MOST + 1} others"
        assert sum(bars.shares) == pytest.approx(1)


def test_each_target_is_a_choice(view: StudyView) -> None:
    (chart,) = importance_section([view]).blocks
    assert isinstance(chart, Chart)
    assert [choice.label for choice in chart.choices] == ["the front", "accuracy", "compression ratio"]
    drawn = chart.figure.data[0]
    assert chart.choices[0].traces == {"x": [list(drawn.x)], "y": [list(drawn.y)], "text": [list(drawn.text)]}


def test_too_few_trials_are_said_to_be(odd_views: dict[str, StudyView], history: StudyHistory) -> None:
    (text,) = importance_section([odd_views["one point"]]).blocks
    assert isinstance(text, Text)
    assert text.text == "1 trial to estimate importances from: too few, they take 20."
    assert importance_section([odd_views["empty"]]).blocks == ()
    not_asked = StudyView(msgspec.structs.replace(history, importances={}))
    assert importance_section([not_asked]).blocks == ()

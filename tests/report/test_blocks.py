"""The pieces of a page."""

from collections.abc import Sequence

import pytest

from ranksearch.report.blocks import Block, Column, Heading, Table, Text, per_study
from ranksearch.report.study_view import StudyView


def test_a_table_takes_only_rows_of_its_width() -> None:
    with pytest.raises(ValueError, match="a row of 1 cells in a table of 2 columns"):
        Table((Column("a"), Column("b")), (("1", "2"), ("3",)))


def test_studies_are_named_only_where_there_are_several(view: StudyView, odd_views: dict[str, StudyView]) -> None:
    def blocks(view: StudyView, place: int) -> Sequence[Block]:
        return (Text(f"{place}"),) if len(view.trials) else ()

    assert per_study([view], blocks) == (Text("0"),)
    assert per_study([odd_views["empty"]], blocks) == ()
    several = [view, odd_views["empty"], odd_views["one point"]]
    name = view.study.name
    assert per_study(several, blocks) == (Heading(name), Text("0"), Heading(name), Text("2"))

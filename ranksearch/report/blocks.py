"""What a page is made of: sections of texts, tables, key figures and charts, as plain values that a template sets.

A section is a function from views to a :class:`Section`; the page is a tuple of such functions.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal

import plotly.graph_objects as go

from .study_view import StudyView


@dataclass(frozen=True)
class Heading:
    """The name of a study, where a section speaks of several."""

    kind: ClassVar[str] = "heading"
    text: str


@dataclass(frozen=True)
class Text:
    """A paragraph."""

    kind: ClassVar[str] = "text"
    text: str


@dataclass(frozen=True)
class Fact:
    """A key figure: a value, what it is, and a remark."""

    value: str
    label: str
    remark: str = ""


@dataclass(frozen=True)
class Column:
    """A column of a table: its title and how its cells are set."""

    title: str
    style: Literal["text", "words", "number", "name", "code", "point"] = "text"


@dataclass(frozen=True)
class Table:
    """Rows of text, one cell per column.

    Attributes:
        points: one per row: the point of the front's chart that a cell of style ``"point"`` leads to.

    Raises:
        ValueError: a row of another length.
    """

    kind: ClassVar[str] = "table"
    columns: tuple[Column, ...]
    rows: tuple[tuple[str, ...], ...]
    caption: str = ""
    points: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for row in self.rows:
            if len(row) != len(self.columns):
                raise ValueError(f"a row of {len(row)} cells in a table of {len(self.columns)} columns: {row}")


@dataclass(frozen=True)
class Choice:
    """Another view of a chart: its label, and what ``Plotly.update`` changes in the traces and in the layout."""

    label: str
    traces: dict[str, Any] = field(default_factory=dict)
    layout: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Chart:
    """A figure with its caption; of several ``choices`` the first is what the figure shows.

    Attributes:
        name: identifies the chart in the page.
        description: what the figure shows, for readers who cannot see it.
        height: in pixels.
        width: in pixels at most; all that there is where it is not given.
    """

    kind: ClassVar[str] = "chart"
    name: str
    figure: go.Figure
    description: str
    caption: str = ""
    height: int = 420
    width: int | None = None
    choices: tuple[Choice, ...] = ()


@dataclass(frozen=True)
class Row:
    """A chart and what belongs beside it, under it where the page is narrow."""

    kind: ClassVar[str] = "row"
    chart: Chart
    beside: Table


@dataclass(frozen=True)
class Explorer:
    """A chart whose points are picked, by hand or by what is asked of them, with a panel that tells of the picked one.

    Attributes:
        data: one entry per study, plain values: see :class:`~.point_panel.StudyPanels`.
    """

    kind: ClassVar[str] = "explorer"
    chart: Chart
    data: tuple[Any, ...]


Block = Heading | Text | Table | Chart | Row | Explorer


@dataclass(frozen=True)
class Section:
    """A titled part of the page; ``anchor`` is its address. Without blocks it is left out."""

    anchor: str
    title: str
    blocks: tuple[Block, ...]


def per_study(views: Sequence[StudyView], blocks: Callable[[StudyView, int], Sequence[Block]]) -> tuple[Block, ...]:
    """The blocks of every study, given its place on the page, under its name where there are several.

    A study of which there is nothing to say is not named.
    """
    found: list[Block] = []
    for place, view in enumerate(views):
        own = blocks(view, place)
        found += [Heading(view.study.name), *own] if own and len(views) > 1 else own
    return tuple(found)

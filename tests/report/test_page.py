"""The page as a file."""

import json
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest
from plotly.offline import get_plotlyjs

from ranksearch.errors import ReportError
from ranksearch.records import StudyHistory
from ranksearch.report import write_report
from ranksearch.report.packing import unpack


class Elements(HTMLParser):
    """The tags of a page with their attributes, and the content of its scripts."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.inside = False
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.scripts: list[tuple[dict[str, str | None], str]] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        self.inside = tag == "script"

    def handle_endtag(self, tag: str) -> None:
        self.inside = False

    def handle_data(self, data: str) -> None:
        if self.inside:
            self.scripts.append((self.tags[-1][1], data))

    @property
    def figures(self) -> dict[str, dict]:
        return {str(a["data-chart"]): json.loads(unpack(text)) for a, text in self.scripts if "data-chart" in a}


@pytest.fixture(scope="module")
def elements(history: StudyHistory, tmp_path_factory: pytest.TempPathFactory) -> Elements:
    path = tmp_path_factory.mktemp("page") / "deep" / "report.html"
    assert write_report([history], path) == path
    return Elements(path.read_text("utf-8"))


def test_everything_is_inside(elements: Elements) -> None:
    for tag, attributes in elements.tags:
        for name in ("src", "href"):
            assert (attributes.get(name) or "#")[0] == "#" or attributes[name] == "data:,", (tag, attributes)
    packed = next(text for a, text in elements.scripts if a.get("id") == "plotly")
    assert unpack(packed) == get_plotlyjs()


def test_the_charts_are_json(elements: Elements) -> None:
    assert list(elements.figures) == ["front", "ranks-0", "hypervolume", "importances-0", "schedules-0"]
    assert all(figure["data"] and figure["layout"] for figure in elements.figures.values())
    assert len(elements.figures["hypervolume"]["choices"]) == 2


def test_every_light_colour_of_a_figure_has_a_dark_one(elements: Elements) -> None:
    known = set(json.loads(next(text for a, text in elements.scripts if a.get("id") == "dark-colours")))
    used = set(re.findall(r'"(#[0-9a-fA-F]{3,8})"', json.dumps(elements.figures)))
    assert used <= known


def test_sections_are_linked(elements: Elements) -> None:
    anchors = [a["href"] for tag, a in elements.tags if tag == "a" and "data-point" not in a]
    assert anchors == [f"#{a['id']}" for tag, a in elements.tags if tag == "section"]
    assert len(anchors) == 10


def test_a_page_without_figures_to_show_is_short(odd_histories: dict[str, StudyHistory], tmp_path: Path) -> None:
    page = Elements(write_report([odd_histories["empty"]], tmp_path / "empty.html").read_text("utf-8"))
    sections = [a["id"] for tag, a in page.tags if tag == "section"]
    assert sections == ["front", "finalists", "layers", "trials", "protocol"]


def test_hostile_texts_stay_texts(elements: Elements, odd_histories: dict[str, StudyHistory], tmp_path: Path) -> None:
    hostile = Elements(write_report([odd_histories["hostile"]], tmp_path / "hostile.html").read_text("utf-8"))
    assert {tag for tag, _ in hostile.tags} == {tag for tag, _ in elements.tags}
    assert [a for tag, a in hostile.tags if tag == "script"] == [a for tag, a in elements.tags if tag == "script"]
    assert [a for tag, a in hostile.tags if tag == "input"] == [a for tag, a in elements.tags if tag == "input"]
    assert list(hostile.figures) == list(elements.figures)  # all of them still parse


def test_a_report_needs_a_study(tmp_path: Path) -> None:
    with pytest.raises(ReportError, match="at least one study"):
        write_report([], tmp_path / "none.html")


def test_a_file_that_cannot_be_written_is_one_line(history: StudyHistory, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ReportError, match="cannot write the report") as refused:
        write_report([history], tmp_path / "file" / "report.html")
    assert "\n" not in str(refused.value)

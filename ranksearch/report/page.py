"""The page: sections set by a template into one HTML file that needs nothing else, not even a network."""

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

import msgspec
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup
from plotly.offline import get_plotlyjs

from ..errors import ReportError
from ..records import StudyHistory
from ..whole_file import whole_file
from .blocks import Chart, Explorer, Section
from .confirmed_section import confirmed_section
from .finalists_section import finalists_section
from .front_section import front_section, networks_section
from .headline import headline
from .importance_section import importance_section
from .layers_section import layers_section
from .packing import pack
from .palette import STUDIES, dark_colours, style_sheet
from .protocol_section import protocol_section
from .screen_section import screen_section
from .search_section import ranks_section, schedules_section, volume_section
from .study_view import StudyView
from .trials_section import trials_section

SCRIPTS = ("packing.js", "picks.js", "panel.js", "page.js")


def sections(views: Sequence[StudyView], study_files: Mapping[str, str]) -> tuple[Section, ...]:
    """The parts of the page in their order; a new part is a new line."""
    return (
        front_section(views, study_files),
        networks_section(views, study_files),
        confirmed_section(views),
        ranks_section(views),
        volume_section(views),
        importance_section(views),
        schedules_section(views),
        screen_section(views),
        finalists_section(views),
        layers_section(views),
        trials_section(views),
        protocol_section(views),
    )


def page(histories: Sequence[StudyHistory], study_files: Mapping[str, str]) -> str:
    """The page's HTML; see :func:`write_report`."""
    views = [StudyView(history) for history in histories]
    folder = Path(__file__).parent
    environment = Environment(
        loader=FileSystemLoader(folder),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"chart": packed_chart, "explored": packed_points}
    return environment.get_template("page.html").render(
        title=" · ".join(view.study.name for view in views),
        made=datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        headlines=[headline(view) for view in views],
        colours=len(STUDIES),
        sections=[section for section in sections(views, study_files) if section.blocks],
        style=Markup(style_sheet() + (folder / "page.css").read_text("utf-8")),
        scripts=[Markup((folder / name).read_text("utf-8")) for name in SCRIPTS],
        dark_colours=dark_colours(),
        plotly=_packed_plotly(),
    )


def write_report(
    histories: Sequence[StudyHistory], path: Path, *, study_files: Mapping[str, str] | None = None
) -> Path:
    """Writes one self-contained HTML page about one study, or about several overlaid; returns its path.

    The page works from the file, offline, makes no request, follows the reader's light or dark colours, and prints.

    Args:
        path: of the page, or of a folder for its ``index.html``.
        study_files: path of the study file by study name: the page prints with it the command that exports a network;
            the call in a notebook where it is not given.

    Raises:
        ReportError: no study is given, or the file cannot be written.
    """
    if not histories:
        raise ReportError("a report needs at least one study, got none: name one")
    html = page(histories, study_files or {})
    if path.suffix != ".html":
        path = path / "index.html"
    try:
        with whole_file(path) as part:
            part.write_text(html, "utf-8")
    except OSError as error:
        raise ReportError(f"{path}: cannot write the report: {error.strerror or error}") from None
    return path


def packed_chart(chart: Chart) -> Markup:
    """A chart for the page's script: traces, layout, and the choices of other views."""
    figure: dict[str, Any] = json.loads(chart.figure.to_json())
    choices = [{"traces": choice.traces, "layout": choice.layout} for choice in chart.choices]
    return pack(json.dumps({**figure, "choices": choices}))


def packed_points(explorer: Explorer) -> Markup:
    """What the page's script tells of points."""
    return pack(msgspec.json.encode(explorer.data).decode())


@cache
def _packed_plotly() -> Markup:
    """plotly.js: 2 MB instead of 4.8."""
    return pack(get_plotlyjs())

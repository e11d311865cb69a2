"""The sections on the front: the picture, and its networks with the command that exports each."""

from collections.abc import Mapping, Sequence

from .blocks import Block, Chart, Column, Explorer, Section, Table, Text, per_study
from .export_command import ExportCommand
from .front_data import FrontData, front_data
from .front_figure import axis_choices, draw_front
from .point_panel import study_panels
from .study_view import StudyView
from .wording import count, percent, plural, points, schedule_of, schedule_words, sentence, some, times


def front_section(views: Sequence[StudyView], study_files: Mapping[str, str]) -> Section:
    """The Pareto front of all studies in one picture, to be explored.

    Args:
        study_files: path of the study file by study name, as in a command; a notebook's study has none.
    """
    data = [front_data(view) for view in views]
    chart = Chart(
        "front",
        draw_front(data),
        "Accuracy in percent against compression ratio: all trials, the front, the baselines, the dense network.",
        _caption(views, data),
        height=560,
        choices=axis_choices(data),
    )
    panels = tuple(study_panels(view, study_files.get(view.study.name)) for view in views)
    explored: Block = Explorer(chart, panels) if any(of.points for of in panels) else chart
    return Section("front", "Pareto front", (explored, *(Text(text) for text in _comparability(views))))


def _caption(views: Sequence[StudyView], data: Sequence[FrontData]) -> str:
    images = some(dict.fromkeys(f"{view.study.dense.images:,}" for view in views))
    forms = " and ".join(dict.fromkeys(view.study.form for view in views))
    bottom = min(d.bottom for d in data)
    below = sum(p.accuracy < bottom for d in data for p in d.searched)
    parts = [
        f"Accuracy on the search split ({images} images), parameters by the {forms} count",
        "dotted: the study's box",
    ]
    if len(data) == 1 and data[0].front and data[0].staircase:
        parts.append("shaded: what the front dominates of it")
    if any(d.finalists for d in data):
        parts.append("stars: fine-tuned at full length, mean ± standard deviation on the test split")
    if any(d.published for d in data):
        parts.append("diamonds: published, on the test split, by the count they give")
    if any(d.stopped for d in data):
        parts.append("crosses: stopped early, at the accuracy they had then")
    if below:
        parts.append(f"{plural(below, 'network')} below the picture (double-click shows all)")
    return sentence(parts)


def _comparability(views: Sequence[StudyView]) -> list[str]:
    """What keeps several studies from being compared point by point."""
    first, *others = (view.study for view in views)
    found = []
    for other in others:
        keys = sorted(k for k in first.fingerprint | other.fingerprint
                      if first.fingerprint.get(k) != other.fingerprint.get(k))  # fmt: skip
        if keys:
            found.append(f"{first.name} and {other.name} differ in: {some(keys)}. Compare them with that in mind.")
        if first.box != other.box:
            found.append(f"{first.name} and {other.name} have different boxes: their hypervolumes are not comparable.")
    return found


def networks_section(views: Sequence[StudyView], study_files: Mapping[str, str]) -> Section:
    """The networks of the front as a table.

    Args:
        study_files: path of the study file by study name, as in a command; a notebook's study has none.
    """

    def blocks(view: StudyView, place: int) -> Sequence[Block]:
        table = front_table(view, study_files.get(view.study.name), place)
        return (table,) if table.rows else ()

    return Section("networks", "Networks of the front", per_study(views, blocks))


def front_table(view: StudyView, study_file: str | None, place: int = 0) -> Table:
    """One row per network of the front, from the largest to the smallest."""
    dense, export = view.study.dense.accuracy, ExportCommand.of(study_file)
    timed = ("latency ratio",) if view.front["latency_ratio"].notna().any() else ()
    numbers = ("accuracy", "to dense", "ratio, pivoted", "ratio, plain", "MACs", *timed, "parameters")
    return Table(
        (
            Column("trial", "point"),
            *(Column(title, "number") for title in numbers),
            Column("decay", "words"),
            Column("export", "code"),
        ),
        tuple(
            (
                str(row["number"]),
                percent(row["accuracy"]),
                points(row["accuracy"] - dense),
                times(row["compression_ratio_pivoted"]),
                times(row["compression_ratio_plain"]),
                times(row["mac_ratio"]),
                *(times(row["latency_ratio"]) for _ in timed),
                count(row["params"]),
                schedule_words(schedule_of(row)),
                export(f"trial={row['number']}"),
            )
            for row in view.front.to_dict("records")
        ),
        points=tuple(f"{place}/trials/{number}" for number in view.front["number"]),
    )

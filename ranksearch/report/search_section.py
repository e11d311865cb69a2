"""The sections on the search: ranks along the front, hypervolume as it grew, decay schedules that were kept."""

from collections.abc import Sequence

from .blocks import Block, Chart, Column, Row, Section, Table, per_study
from .rank_figure import rank_figure, rank_height, rank_map, rank_width
from .schedule_figure import decay_curves, ends, schedule_figure, setting_uses
from .study_view import StudyView
from .volume_figure import baseline_volumes, volume_data, volume_figure
from .wording import percent


def ranks_section(views: Sequence[StudyView]) -> Section:
    """A heat map of ranks per study."""

    def blocks(view: StudyView, place: int) -> Sequence[Block]:
        ranks = rank_map(view)
        if not ranks.columns:
            return ()
        return (
            Chart(
                f"ranks-{place}",
                rank_figure(ranks),
                "The rank of every mode of every layer, for each network of the front.",
                "Numbers are ranks, colours the fraction of the full rank; where there is none, the layer is dense.",
                height=rank_height(ranks),
                width=rank_width(ranks),
            ),
        )

    return Section("ranks", "Ranks along the front", per_study(views, blocks))


def volume_section(views: Sequence[StudyView]) -> Section:
    """Hypervolume of all studies in one picture, and that of the baselines."""
    if all(view.trials.empty for view in views):
        return Section("hypervolume", "Hypervolume", ())
    data = [volume_data(view) for view in views]
    figure, choices = volume_figure(data)
    chart = Chart(
        "hypervolume",
        figure,
        "Hypervolume of the front after each finished trial.",
        "The share of the study's box that the front dominates, in the order in which trials finished.",
        height=360,
        choices=choices,
    )
    rows = [
        (*([view.study.name] if len(views) > 1 else []), name, str(number), f"{volume:.3f}")
        for view, d in zip(views, data, strict=True)
        for name, (number, volume) in {"search": (d.trials[-1], d.hypervolume[-1]), **baseline_volumes(view)}.items()
    ]
    columns: tuple[Column, ...] = (Column("front of"), Column("networks", "number"), Column("hypervolume", "number"))
    if len(views) > 1:
        columns = (Column("study"), *columns)
    return Section("hypervolume", "Hypervolume", (Row(chart, Table(columns, tuple(rows))),))


def schedules_section(views: Sequence[StudyView]) -> Section:
    """The decay of every network of the front, and which settings the front uses."""

    def blocks(view: StudyView, place: int) -> Sequence[Block]:
        curves = decay_curves(view)
        if not curves:
            return ()
        caption = f"One line per network of the front ({len(curves)}); with an order over layers, λ is their mean."
        if found := ends(view):
            caption += f" Decay ends between {percent(found[0], 0)} and {percent(found[-1], 0)} of the trial."
        chart = Chart(
            f"schedules-{place}",
            schedule_figure(curves),
            "Share of the pre-trained weight over the progress of a trial, for each network of the front.",
            caption,
            height=360,
        )
        return (Row(chart, uses_table(view)),)

    return Section("schedules", "Decay schedules", per_study(views, blocks))


def uses_table(view: StudyView) -> Table:
    """Which shapes, fades and orders the front uses, beside how often each was tried."""
    uses = setting_uses(view)
    previous = ("", *(use.setting for use in uses))
    return Table(
        (Column(""), Column("decay"), Column("on the front", "number"), Column("of trials", "number")),
        tuple(
            ("" if use.setting == before else use.setting, use.value, str(use.on_front), str(use.tried))
            for use, before in zip(uses, previous, strict=False)
        ),
    )

"""The section on confirmation: the front as it was selected, beside what further seeds say of it."""

from collections.abc import Sequence

from ..front import optimism
from .blocks import Block, Column, Section, Table, Text, per_study
from .finalists_section import mean_and_spread
from .study_view import StudyView
from .wording import MISSING, count, duration, percent, plural, points, times


def confirmed_section(views: Sequence[StudyView]) -> Section:
    """The networks of the front, trained and measured again."""

    def blocks(view: StudyView, _: int) -> Sequence[Block]:
        if not view.history.confirmations:
            return ()
        return (Text(optimism_sentence(view)), confirmed_table(view))

    return Section("confirmed", "The front with further seeds", per_study(views, blocks))


def confirmed_table(view: StudyView) -> Table:
    """One row per network of the front, from the largest to the smallest."""
    numbers = ("trial", "ratio", "selected", "confirmed", "seeds", "selected − confirmed")
    return Table(
        (*(Column(title, "number") for title in numbers), Column("still on the front")),
        tuple(
            (
                str(row["number"]),
                times(row["compression_ratio"]),
                percent(row["accuracy"], 2),
                mean_and_spread(row["accuracy_mean"], row["accuracy_std"]),
                f"{row['seeds']}" + (f" ({row['failures']} failed)" if row["failures"] else ""),
                points(row["accuracy"] - row["accuracy_mean"]),
                {True: "yes", False: "no"}.get(row["still_on_front"], MISSING) if row["seeds"] else MISSING,
            )
            for row in view.confirmed.to_dict("records")
        ),
        "Accuracy on the search split: the one measurement that selected the network, and mean ± standard deviation "
        "over further training seeds alone.",
    )


def optimism_sentence(view: StudyView) -> str:
    """How optimistic the selected accuracies are, and what it cost to know."""
    known, found = view.confirmed[view.confirmed["seeds"] > 0], optimism(view.confirmed)
    records = [t.record for t in view.history.confirmations if t.record]
    spent = (
        f"These {plural(len(records), 'training')} took {duration(sum(r.cost.seconds for r in records))} and saw "
        f"{count(sum(r.cost.images for r in records))} images."
    )
    if found is None:
        return f"No network that is on the front now has a measurement with a further seed. {spent}"
    return (
        "A front is chosen from noisy measurements and looks better than it is: selected accuracy minus the mean over "
        f"further seeds is {points(found)} points, averaged over {plural(len(known), 'network')}; "
        f"{known['still_on_front'].sum()} of them are still on the front by these means. {spent}"
    )

"""The section that accounts for every trial, also those that are not in the picture, and for what they cost."""

from collections import defaultdict
from collections.abc import Sequence

from ..records import Trial
from .blocks import Block, Column, Section, Table, Text, per_study
from .study_view import StudyView
from .wording import count, duration, plural, some


def trials_section(views: Sequence[StudyView]) -> Section:
    """Counts, reasons and cost."""

    def blocks(view: StudyView, _: int) -> Sequence[Block]:
        outcomes = outcomes_table(view)
        if not outcomes.rows:
            return (Text("No trial has been started yet."),)
        return (outcomes,) if view.trials.empty else (Text(cost_sentence(view)), outcomes)

    return Section("trials", "All trials", per_study(views, blocks))


def outcome(trial: Trial) -> tuple[str, str]:
    """What became of a trial, in a word, and the reason where there is one."""
    if trial.state != "complete" or trial.record is None:
        return trial.state, trial.record.stopped if trial.record else trial.reason
    if trial.record.copy_of is not None:
        return "copied", "the same configuration had been measured"
    return ("useless", trial.record.failure) if trial.record.failure else ("finished", "")


def outcomes_table(view: StudyView) -> Table:
    """Trials counted by what became of them and why, with the numbers of those that did not simply finish."""
    groups: dict[tuple[str, str, str], list[int]] = defaultdict(list)
    for study, trials in view.rooms.items():
        for trial in trials:
            groups[(study, *outcome(trial))].append(trial.number)
    return Table(
        (Column("study"), Column("outcome"), Column("trials", "number"), Column("numbers"), Column("reason", "words")),
        tuple(
            (study, word, str(len(numbers)), "" if word == "finished" else some(numbers), reason)
            for (study, word, reason), numbers in groups.items()
        ),
    )


def cost_sentence(view: StudyView) -> str:
    """Seconds and images of the search's trials."""
    table = view.trials
    expected = view.study.seconds_per_trial
    return (
        f"The search's {plural(len(table), 'trial')} took {duration(table['seconds'].sum())} together, "
        f"{duration(table['seconds'].median())} each in the median"
        + (f" ({duration(expected)} had been estimated)" if expected else "")
        + f", and saw {count(table['images'].sum())} training images."
    )

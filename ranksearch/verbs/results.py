"""What is read from a study that has run: its front, its report. Needs neither network nor data, and no torch."""

from collections.abc import Sequence
from pathlib import Path

import msgspec
from rich.console import Console

from ..front import confirmed_table, front, study_table, trial_table, why_nothing, write_table
from ..records import StudyHistory
from ..report import write_report
from ..study import (
    Ledger,
    StudyFile,
    importances,
    open_storage,
    reaching,
    read_history,
)
from ..terminal.tables import confirmed_text, finalists_table, front_table


def show_front(study: StudyFile, files: Sequence[Path], console: Console) -> None:
    """Prints the Pareto front, with its confirmations, and the finalists; writes all trials of all rooms."""
    history = read_history(study)
    table = trial_table(history)
    records = {t.number: t.record for t in history.finished() if t.record}
    again = confirmed_table(history).to_dict("records") if history.confirmations else []
    confirmed = {int(row["number"]): confirmed_text(row) for row in again}
    best = [(int(n), records[int(n)]) for n in front(table)["number"]]
    console.print(front_table(best, history, confirmed))
    if not best:
        why = why_nothing(table, history.study) if len(table) else "no trial has finished"
        console.print(f"nothing on the front: {why}", soft_wrap=True)
    if finalists := [t.record for t in history.finished("finalists") if t.record]:
        console.print(finalists_table(finalists))
    for path in files:
        write_table(study_table(history), path)
        console.print(f"{path} written", soft_wrap=True)


def report_history(study: StudyFile, ledger: Ledger | None = None) -> StudyHistory:
    """All that a report shows: the history with its screen, importances, and what the study file names as published.

    Args:
        ledger: of the study, where it is open already.
    """
    with reaching(study.storage_url):
        ledger = ledger or Ledger(open_storage(study.storage_url, create=False), study.name)
        history = ledger.history(screen=True)
        found, budget = importances(ledger.study(), history), ledger.budget
    return msgspec.structs.replace(history, importances=found, published=study.report.published, budget=budget)


def make_report(studies: Sequence[StudyFile], output: Path | None) -> Path:
    """Writes the page of one study, or of several overlaid; ``./reports/NAME/index.html`` unless told otherwise."""
    path = output or Path("reports") / "+".join(study.name for study in studies)
    histories, files = told_apart([report_history(study) for study in studies], studies)
    return write_report(histories, path, study_files=files)


def told_apart(
    histories: Sequence[StudyHistory], studies: Sequence[StudyFile]
) -> tuple[list[StudyHistory], dict[str, str]]:
    """The histories, those of equal names with the path of their file in it; and the path by name, for commands."""
    apart = distinct([study.name for study in studies], [f"{study.name} ({study.path})" for study in studies])
    renamed = [
        msgspec.structs.replace(history, study=msgspec.structs.replace(history.study, name=name))
        for history, name in zip(histories, apart, strict=True)
    ]
    return renamed, {name: str(study.path) for name, study in zip(apart, studies, strict=True)}


def distinct(names: Sequence[str], longer: Sequence[str]) -> list[str]:
    """The names, each that occurs more than once in its longer form.

    >>> distinct(["a", "b", "a"], ["a.json", "b.json", "a.yaml"])
    ['a.json', 'b', 'a.yaml']
    """
    return [name if names.count(name) == 1 else long for name, long in zip(names, longer, strict=True)]

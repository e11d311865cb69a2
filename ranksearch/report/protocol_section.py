"""The section on how it was done: splits and their honesty, settings, machines, versions, fingerprints."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from ..records import Machine
from .blocks import Block, Column, Section, Table, Text, per_study
from .study_view import StudyView
from .wording import count, some


def inline(value: Any) -> str:
    """A setting as the study file writes it.

    >>> inline({"low": 0.005, "log": True}), inline(["none", 2]), inline(None)
    ('{ low = 0.005, log = true }', '["none", 2]', 'none')
    """
    if isinstance(value, Mapping):
        return "{ " + ", ".join(f"{key} = {inline(v)}" for key, v in value.items()) + " }" if value else "{}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(map(inline, value)) + "]"
    if value is None or isinstance(value, bool):
        return "none" if value is None else str(value).lower()
    return '"' + value.replace('"', '\\"') + '"' if isinstance(value, str) else str(value)


def settings_table(settings: Mapping[str, Any]) -> Table:
    """The settings, a row each, named as in error messages: ``training.lr``."""
    rows: list[tuple[str, str]] = []
    for key, value in settings.items():
        if isinstance(value, Mapping) and value:
            rows += [(f"{key}.{inner}", inline(v)) for inner, v in value.items()]
        else:
            rows.append((key, inline(value)))
    return Table((Column("setting", "name"), Column("value", "name")), tuple(rows), "Settings, as the study was made")


def machines(view: StudyView) -> list[tuple[Machine, int]]:
    """The study's machine and those of its trials, with the number of trials that ran on each."""
    ran = [t.record.machine for room in view.rooms.values() for t in room if t.record and t.record.copy_of is None]
    uses = Counter(msgspec.json.encode(machine, order="sorted") for machine in ran)
    uses[msgspec.json.encode(view.study.machine, order="sorted")] += 0
    return [(msgspec.json.decode(text, type=Machine), n) for text, n in uses.most_common()]


def machines_table(view: StudyView) -> Table:
    """Machines and versions, the busiest first."""
    return Table(
        (
            Column("device"),
            Column("processor", "words"),
            Column("threads", "number"),
            Column("precision"),
            Column("versions", "words"),
            Column("trials", "number"),
        ),
        tuple(
            (m.device, m.processor, str(m.threads), m.precision, versions(m), str(number))
            for m, number in machines(view)
        ),
        "Machines",
    )


def versions(machine: Machine) -> str:
    """The machine's software in one line."""
    return ", ".join(f"{name} {number}" for name, number in machine.versions.items())


def seeds_sentence(view: StudyView) -> str:
    """Where randomness comes from."""
    seeds = sorted({t.record.seed for t in view.history.finalists if t.record})
    trained = f" Finalists were trained with the seeds {some(seeds)}." if seeds else ""
    return (
        f"Every trial's training seed follows from the study's seed ({inline(_seed(view.study.settings))}) and its "
        f"configuration, so that a trial can be repeated.{trained}"
    )


def _seed(settings: Mapping[str, Any]) -> Any:
    search = settings.get("search")
    return search.get("seed") if isinstance(search, Mapping) else None


def protocol_section(views: Sequence[StudyView]) -> Section:
    """Splits, protocol, settings, machines and fingerprints."""

    def blocks(view: StudyView, _: int) -> Sequence[Block]:
        study = view.study
        splits = tuple((name, count(n) if n else "none") for name, n in study.splits.items())
        tables = (
            Table((Column("split"), Column("images", "number")), splits, "Splits"),
            settings_table(study.settings),
            machines_table(view),
            Table((Column("covers"), Column("digest", "name")), tuple(study.fingerprint.items()), "Fingerprint"),
        )
        texts = (*study.protocol, seeds_sentence(view))
        return (*(Text(text) for text in texts), *(table for table in tables if table.rows))

    return Section("protocol", "Settings and protocol", per_study(views, blocks))

"""A study of a benchmark: a study file with something changed, under a name and in a storage of its own."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ranksearch.study import StudyFile, parse_study, settings


def variant(source: StudyFile, name: str, folder: Path, *changes: Mapping[str, Mapping[str, Any]]) -> StudyFile:
    """``source`` with ``changes`` by section, one after another, as NAME.db in ``folder``; without baselines."""
    table = _without_none(settings(source))
    own = {"baselines": (), "storage": f"sqlite:///{folder.resolve()}/{name}.db"}
    for sections in ({"search": own}, *changes):
        for section, values in sections.items():
            table[section] |= values
    return parse_study(table | {"name": name}, source.path)


def _without_none(value: Any) -> Any:
    """What a study file may hold: keys that are off are left out."""
    return {k: _without_none(v) for k, v in value.items() if v is not None} if isinstance(value, dict) else value

"""The study file: TOML, strict, with every default known; one file is one study."""

import math
import os
import re
import tomllib
import types
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar, Union, get_args, get_origin

import msgspec

from ..errors import RanksearchError, StudyFileError, nearest
from .masking import masked
from .ranges import words
from .sections import (
    FinetuneSection,
    LatencySection,
    RanksSection,
    ReportSection,
    ScheduleSection,
    SearchSection,
    TrainingSection,
    starts_at_zero,
)
from .stage_sections import ElasticSection, ScreenSection
from .storage import storage_url
from .subject_sections import DataSection, NetworkSection

S = TypeVar("S", bound=msgspec.Struct)


class StudyFile(msgspec.Struct, frozen=True, kw_only=True):
    """A study as its file describes it.

    Attributes:
        name: of the study in its storage; the file's own name unless given.
        path: the file; relative paths inside it start from its folder.
    """

    name: str
    network: NetworkSection
    data: DataSection
    ranks: RanksSection = RanksSection()
    schedule: ScheduleSection = ScheduleSection()
    training: TrainingSection = TrainingSection()
    search: SearchSection = SearchSection()
    elastic: ElasticSection = ElasticSection()
    screen: ScreenSection = ScreenSection()
    latency: LatencySection = LatencySection()
    finetune: FinetuneSection = FinetuneSection()
    report: ReportSection = ReportSection()
    path: Path = Path("study.toml")

    def __post_init__(self) -> None:
        if not re.fullmatch(r"\w[\w.+-]{0,99}", self.name):
            raise StudyFileError(
                f"name = {self.name!r} must be 1 to 100 letters, digits, '.', '+', '-', '_', starting with a letter or "
                "digit: files and studies are named after it"
            )
        if self.starts_elastic and "full" in words(self.schedule.fade):
            raise starts_at_zero("schedule.fade", "training.init")

    @property
    def starts_elastic(self) -> bool:
        """Whether trials may start from the elastic adapter."""
        return "elastic" in words(self.training.init)

    @property
    def folder(self) -> Path:
        return self.path.parent

    def resolve(self, path: str | Path) -> Path:
        """``path`` as the file means it: relative to its folder."""
        return (self.folder / Path(path).expanduser()).resolve()

    @property
    def storage_url(self) -> str:
        """The storage as SQLAlchemy takes it; may hold a password."""
        return storage_url(self.search.storage, self.folder, self.name)


def read_study(path: Path | str, replaced: Collection[str] = ()) -> StudyFile:
    """Reads a study file, ``${VAR}`` in its strings replaced by environment variables.

    Args:
        replaced: entries of ``[search]`` that are left unread, since others take their place: a variable in them need
            not be set.

    Raises:
        StudyFileError: in one line with the file and the key: not there, not TOML (with the line), an
            unknown key (with the nearest allowed one), a value that is not allowed, an unset variable.
    """
    path = Path(path)
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise StudyFileError(f"{path}: no such study file; `ranksearch init` writes one") from None
    except OSError as error:
        raise StudyFileError(f"{path}: cannot be read: {error.strerror}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise StudyFileError(f"{path}: not TOML, as a study file is: {error}") from None
    if isinstance(search := table.get("search"), dict):
        table["search"] = {key: value for key, value in search.items() if key not in replaced}
    return parse_study(table, path)


def parse_study(table: Mapping[str, Any], path: Path, source: str = "") -> StudyFile:
    """A study from nested plain values, by the same laws as :func:`read_study`; ``path`` need not exist: then errors
    name their ``source``."""
    try:
        expanded = {"name": path.stem} | {key: _expand(value, key) for key, value in table.items()}
        _require_known(expanded, StudyFile, "")
        study = msgspec.convert(expanded, StudyFile)
    except msgspec.ValidationError as error:
        raise StudyFileError(f"{source or path}: {_explain(str(error), expanded)}") from None
    except RanksearchError as error:
        raise StudyFileError(f"{source or path}: {error}") from None
    return msgspec.structs.replace(study, path=path)


def changed_section(section: S, changes: Mapping[str, Any], prefix: str) -> S:
    """A section with some entries replaced, by the same laws as in a file.

    Args:
        prefix: of the keys in errors.

    Raises:
        StudyFileError: an unknown key (with the nearest allowed one), or a value that is not allowed.
    """
    _require_known(changes, type(section), prefix)
    try:
        return msgspec.convert(msgspec.to_builtins(section) | changes, type(section))
    except msgspec.ValidationError as error:
        raise StudyFileError(prefix + _explain(str(error), changes)) from None


def settings(study: StudyFile) -> dict[str, Any]:
    """The study as nested plain values, every default written out, passwords masked."""
    plain: dict[str, Any] = msgspec.json.decode(msgspec.json.encode(study, enc_hook=str))
    del plain["path"]
    plain["search"]["storage"] = masked(study.search.storage)
    return plain


def _expand(value: Any, key: str) -> Any:
    """Replaces ``${VAR}`` in every string below ``key``."""
    if isinstance(value, Mapping):
        return {name: _expand(inner, f"{key}.{name}") for name, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return [_expand(inner, key) for inner in value]
    if not isinstance(value, str):
        return value

    def variable(match: re.Match[str]) -> str:
        found = os.environ.get(match[1])
        if not found:
            raise StudyFileError(f"{key} = {value!r} needs the environment variable {match[1]}, which is not set")
        return found

    return re.sub(r"\$\{(\w+)\}", variable, value)


def _alternatives(annotation: Any) -> Iterator[Any]:
    """The members of a union, annotations and element types of tuples unwrapped."""
    origin = get_origin(annotation)
    if origin in (Union, types.UnionType):
        for member in get_args(annotation):
            yield from _alternatives(member)
    elif origin in (Annotated, tuple):
        yield from _alternatives(get_args(annotation)[0])
    else:
        yield annotation


def _require_known(table: Mapping[str, Any], section: type[msgspec.Struct], prefix: str) -> None:
    """Refuses unknown keys, words that are not among a key's choices, and numbers that are not finite."""
    fields = {f.name: list(_alternatives(f.type)) for f in msgspec.structs.fields(section) if f.name != "path"}
    for name, value in table.items():
        key = prefix + name
        if name not in fields:
            raise StudyFileError(f"{key} is not a known key{nearest(name, list(fields))}")
        choices = [word for a in fields[name] if get_origin(a) is Literal for word in get_args(a)]
        keys = [word for a in fields[name] if get_origin(a) is dict for word in get_args(get_args(a)[0])]
        for word in value if keys and isinstance(value, Mapping) else ():
            if word not in keys:
                raise StudyFileError(f"{key}.{word} is not a known key{nearest(word, keys)}")
        for word in value if isinstance(value, list) else [value]:
            if choices and isinstance(word, str) and word not in choices:
                raise StudyFileError(f"{key} = {word!r} is not available{nearest(word, choices)}")
            if isinstance(word, float) and not math.isfinite(word):
                raise StudyFileError(f"{key} = {word} must be finite")
        tables = {f"{key}[{i}].": v for i, v in enumerate(value)} if isinstance(value, list) else {f"{key}.": value}
        for inner in fields[name]:
            if isinstance(inner, type) and issubclass(inner, msgspec.Struct):
                for place, below in tables.items():
                    if isinstance(below, Mapping):
                        _require_known(below, inner, place)


def _explain(message: str, table: Mapping[str, Any]) -> str:
    """msgspec's message in the words of a study file: the key, its value and the law."""
    law, _, place = message.partition(" - at `$")
    key = place.rstrip("`").lstrip(".").partition("[...]")[0]  # which is: whatever key of that table
    if missing := re.search(r"missing required field `(\w+)`", law):
        return f"{f'{key}.' if key else ''}{missing[1]} is missing"
    if not key:  # never the whole file: its storage may hold a password
        return message
    value: Any = table
    for step in re.findall(r"\w+", key):
        value = value[int(step) if isinstance(value, list) else step]
    for word, ours in (("array", "list"), ("object", "table"), ("str", "string"), (" | null", ""), ("`", "")):
        law = law.replace(word, ours)
    return f"{key} = {value!r}: {law[0].lower()}{law[1:]}"

"""From a finished trial to what is taken away: rank files, and the measured network in many formats."""

from collections.abc import Callable, Iterator
from functools import cache, partial
from importlib.metadata import version
from pathlib import Path

import msgspec

from ..errors import SelectionError
from ..export import read_ranks
from ..front import select, trial_table
from ..layers import NetworkCost
from ..records import RankFile, StudyHistory, StudyRecord, TrialRecord
from .exports import EXPORTS, Bench, Source, require_export, write_export
from .forms import Forms
from .network_store import NetworkStore


def rank_file(study: StudyRecord, number: int, record: TrialRecord, selection: str = "") -> RankFile:
    """The rank file of one trial, with everything needed to know where it comes from."""
    provenance = {
        "study": study.name,
        "trial": number,
        "origin": record.origin,
        "selection": selection or f"trial={number}",
        "seed": record.seed,
        "dense_accuracy": study.dense.accuracy,
        "ranksearch": version("ranksearch"),
    }
    return RankFile(
        network={"model": study.settings["network"]["model"], "weights": study.fingerprint.get("weights", "")},
        configuration=record.configuration,
        schedule=record.schedule,
        recipe=record.recipe,
        form=record.form,
        flattened=study.network.flattened,
        objectives=objectives(record.plain, record.pivoted)
        | ({"latency_ratio": record.latency.ratio} if record.latency else {}),
        measured=record.measured,
        provenance=provenance,
    )


def objectives(plain: NetworkCost, pivoted: NetworkCost) -> dict[str, float]:
    """Parameters, MACs and both ratios by either count, as a rank file lists them."""
    by_form = {"plain": msgspec.structs.asdict(plain), "pivoted": msgspec.structs.asdict(pivoted)}
    return {f"{name}_{form}": value for form, cost in by_form.items() for name, value in cost.items()}


def selected(history: StudyHistory, selection: str) -> list[tuple[int, RankFile]]:
    """Trial numbers and rank files of the points that ``--select`` names.

    Raises:
        SelectionError: no such point; says what exists.
    """
    rows = select(trial_table(history), selection, history.study)
    records = {t.number: t.record for t in history.trials if t.record}
    return [(int(n), rank_file(history.study, int(n), records[int(n)], selection)) for n in rows["number"]]


def export(
    history: StudyHistory,
    selection: str,
    output: Path | None,
    store: NetworkStore,
    bench: Callable[[], Bench],
    to: str = "ranks",
    forms: Forms | None = None,
) -> Iterator[tuple[Path, str]]:
    """Writes what was selected, one network after the other.

    Args:
        output: a file, or for several networks a folder; named after study and selection where None.
        bench: what an export is tried with; asked for by those that run the network.
        to: one of :data:`~.exports.EXPORTS`.
        forms: in which the layers are written; as they were measured where None.

    Yields:
        Each file as it is written, and what there is to say of it.

    Raises:
        SelectionError, ExportError: as :func:`selected`, :func:`~.exports.write_export`.
    """
    suffix, bench = require_export(to).suffixes[0], cache(bench)
    if output is None:
        several = selection == "all"
        output = Path(f"{history.study.name}-{'front' if several else selection.replace('=', '-') + suffix}")
    points = selected(history, selection)
    several = len(points) > 1 or selection == "all" or output.is_dir()
    if several and output.suffix in require_export(to).suffixes and not output.is_dir():
        raise SelectionError(f"{output}: --select {selection} writes a file for each network; name a folder")
    for number, ranks in points:
        path = output / f"{history.study.name}-trial-{number}{suffix}" if several else output
        source = Source(ranks, partial(store.find, number, ranks), bench, lambda: history, forms)
        yield path, write_export(source, path, to)


def export_file(
    file: Path,
    output: Path | None,
    bench: Callable[[], Bench],
    history: Callable[[], StudyHistory],
    to: str,
    forms: Forms | None = None,
) -> tuple[Path, str]:
    """Writes the network of a compressed checkpoint, such as ``finetune`` makes, as :func:`export` does.

    Args:
        output: a file, or a folder for one of the checkpoint's name; beside the checkpoint where None.
        history: of the study, for the model card alone.
    """
    path = output or file.parent
    if path.is_dir():
        path = path / f"{file.stem}{require_export(to).suffixes[0]}"
    if path.resolve() == file.resolve():
        raise SelectionError(f"{path} would be written over itself: name another file with -o")
    source = Source(read_ranks(file), lambda: file, bench, history, forms)
    return path, write_export(source, path, to)


def require_rank_suffix(path: Path) -> None:
    """Raises :class:`SelectionError` where ``path`` does not end as a rank configuration's does."""
    if path.suffix not in EXPORTS["ranks"].suffixes:
        raise SelectionError(f"{path}: a rank configuration is written as .json or .yaml")

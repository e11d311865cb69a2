"""From a finished trial to what is taken away: rank files, and the compressed network that was measured."""

from importlib.metadata import version
from pathlib import Path

import msgspec

from ..errors import SelectionError
from ..front import select, trial_table
from ..layers import NetworkCost
from ..records import RankFile, StudyHistory, StudyRecord, TrialRecord
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


def export(history: StudyHistory, selection: str, output: Path, store: NetworkStore, to: str = "ranks") -> list[Path]:
    """Writes what was selected.

    Args:
        output: a file (JSON or YAML by its suffix for ranks), or for several points a folder.
        to: one of :data:`EXPORTS`.

    Returns:
        The files written.
    """
    if to not in EXPORTS:
        raise SelectionError(f"--to {to!r} is unknown; allowed: {', '.join(EXPORTS)}")
    points, suffix = selected(history, selection), EXPORTS[to]
    several = len(points) > 1 or selection == "all" or output.is_dir()
    if not several and to == "ranks":
        require_rank_suffix(output)
    written = []
    for number, ranks in points:
        path = output / f"{history.study.name}-trial-{number}{suffix}" if several else output
        if to == "ranks":
            ranks.write(path)
        else:
            source = store.find(number, ranks)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(source.read_bytes())
        written.append(path)
    return written


def require_rank_suffix(path: Path) -> None:
    """Raises :class:`SelectionError` where ``path`` does not end as a rank configuration's does."""
    if path.suffix not in (".json", ".yaml", ".yml"):
        raise SelectionError(f"{path}: a rank configuration is written as .json or .yaml")


#: what can be taken away → suffix of its files in a folder
EXPORTS = {"ranks": ".json", "safetensors": ".safetensors"}

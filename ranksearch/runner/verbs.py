"""Verbs that need the network and its data: layers, finetune, evaluate, and a worker's work."""

import time
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from ..export import Evaluation, compare_latency, load_compressed, read_ranks
from ..layers import network_cost
from ..records import RankFile, TrialRecord, require_fit
from ..study import StudyFile, reaching
from .artifacts import Artifacts
from .finetune import finetune
from .founding import join_study
from .network_store import NetworkStore
from .progress import duration
from .results import read_history
from .search import prepare, run_session
from .subject import study_subject
from .tables import finalists_table, layers_table, left_dense_table, table
from .take_away import EXPORTS, export
from .threads import use_cores
from .trial import Plan, measured, untrained
from .worker import Budget

SHOW_EVERY = 10  # seconds between two lines on the steps of a long training


def work_on(study: StudyFile, *, cpus: int | None, share: int, device: str | None, console: Console) -> None:
    """One more worker, with or without others: the first to come makes the study; finalists are trained last."""
    use_cores(cpus, share)
    budget = Budget.of(study.search)
    with reaching(study.storage_url):
        session = join_study(study, device=device, console=console)
        prepare(session, budget, console)
        run_session(session, budget, console, ("baselines", "finalists"))


def show_layers(study: StudyFile, device: str | None, console: Console) -> None:
    """Prints what will be compressed, what not and why, and the data's splits; weights may be ``"none"``."""
    subject = study_subject(study, device=device, train=False)
    console.print(layers_table(subject.spec, study.ranks.form))
    if subject.spec.left_dense:
        console.print(left_dense_table(subject.spec))
    else:
        console.print("every layer with weights is compressed")
    for sentence in subject.splits.protocol:
        console.print(sentence, highlight=False, soft_wrap=True, markup=False)
    console.print(
        f"dense network: {subject.dense.accuracy:.2%} on the search split"
        + (", to be trained by the first search" if study.network.weights == "train" else ""),
        highlight=False,
    )


def export_selected(study: StudyFile, selection: str, output: Path | None, to: str) -> list[Path]:
    """Writes the rank files or networks that ``selection`` names."""
    default = Path(f"{study.name}-{selection.replace('=', '-')}{EXPORTS.get(to, '')}")
    if output is None and selection == "all":
        default = Path(f"{study.name}-front")
    store = NetworkStore(Artifacts.of(study))
    return export(read_history(study), selection, output or default, store, to)


def finetune_files(
    study: StudyFile,
    files: Sequence[Path],
    *,
    epochs: int | None,
    seeds: int | None,
    folder: Path | None,
    device: str | None,
    console: Console,
    hooi: bool = False,
) -> list[TrialRecord]:
    """Trains the rank files to full length beside the dense control and prints test accuracies."""
    ranks = {str(path.with_suffix("")): RankFile.read(path) for path in files}
    with reaching(study.storage_url):
        session = join_study(study, device=device)  # ranks need not come from a search
        for name, given in ranks.items():
            require_fit(given.configuration, session.subject.spec, name)
    began = shown = time.monotonic()

    def on_step(plan: Plan, done: int, of: int) -> None:
        nonlocal shown
        now = time.monotonic()
        if now - shown >= SHOW_EVERY or done == of:
            shown = now
            console.print(
                f"{plan.origin}, seed {plan.seed}: step {done}/{of}, {duration(now - began)}",
                highlight=False,
                soft_wrap=True,
            )

    with reaching(study.storage_url):
        records = finetune(
            session,
            ranks,
            epochs=epochs or study.finetune.epochs,
            seeds=seeds or study.finetune.seeds,
            changes=study.finetune.changes | ({"init": "hooi"} if hooi else {}),
            folder=folder or study.folder / f"{study.name}.finetune",
            on_step=on_step,
        )
    dense = session.subject.final_stage.dense(session.subject.task).accuracy
    console.print(finalists_table(records))
    console.print(f"dense network without further training: {dense:.2%} on the test split", highlight=False)
    return records


def evaluate_file(study: StudyFile, file: Path, device: str | None, console: Console) -> list[Evaluation]:
    """Measures a rank file (truncated, untrained) or a compressed checkpoint beside the dense network."""
    subject = study_subject(study, device=device)
    checkpoint = file.suffix == ".safetensors"
    ranks = read_ranks(file) if checkpoint else RankFile.read(file)
    require_fit(ranks.configuration, subject.spec, str(file))
    if checkpoint:
        compressed = load_compressed(subject.network, file).to(subject.device)
        searched = measured(subject, subject.search_stage, compressed)
    else:
        bases = subject.bases(study.ranks.basis)
        compressed, searched = untrained(subject, bases, ranks.configuration, ranks.form)
        console.print(f"{file} holds ranks, no weights: truncated without training", highlight=False, soft_wrap=True)
    final = subject.final_stage
    on_splits = {
        "dense": (subject.dense, final.dense(subject.task)),
        file.name: (searched, measured(subject, final, compressed)),
    }
    networks = {"dense": subject.network, file.name: compressed}
    latency = compare_latency(networks, subject.splits.train.example().to(subject.device))
    found = [Evaluation.of(label, networks[label], on_splits[label], latency[label]) for label in networks]
    console.print(evaluations_table(found))
    plain, pivoted = (network_cost(subject.spec, ranks.configuration, f) for f in ("plain", "pivoted"))
    console.print(
        f"compression ratio {pivoted.compression_ratio:.2f}× pivoted, {plain.compression_ratio:.2f}× plain; MAC ratio "
        f"{pivoted.mac_ratio:.2f}× pivoted, {plain.mac_ratio:.2f}× plain",
        highlight=False,
        soft_wrap=True,
    )
    return found


def evaluations_table(evaluations: Sequence[Evaluation]) -> Table:
    """Networks side by side."""
    first = evaluations[0]
    made = table(
        "Accuracy, size and latency",
        "network",
        *(f"{on.split}, {on.images:,} images" for on in first.measured),
        *("params", "MiB"),
        *(f"ms, batch {latency.batch} (quartiles)" for latency in first.latency),
    )
    for e in evaluations:
        made.add_row(
            escape(e.label),
            *(f"{on.accuracy:.2%}" for on in e.measured),
            f"{e.params:,}",
            f"{e.bytes / 2**20:.3g}",
            *(f"{t.median * 1e3:.2f} ({t.lower * 1e3:.2f}–{t.upper * 1e3:.2f})" for t in e.latency),
        )
    return made

"""Verbs that need the network and its data: layers, export, finetune."""

import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from rich.console import Console

from ..allocation import attainable_ratio, rounded_down
from ..artifacts.artifacts import Artifacts
from ..artifacts.exports import Bench
from ..artifacts.forms import Forms
from ..artifacts.network_store import NetworkStore
from ..artifacts.take_away import export, export_file
from ..errors import DenseAccuracyError, SelectionError
from ..networks.checkpoint import some
from ..progressive import CLASSIFICATION
from ..records import RankFile, TrialRecord, require_fit
from ..runner.finetune import finetune
from ..runner.founding import join_study
from ..study import StudyFile, reaching, read_history
from ..subject.study_network import study_network, study_splits
from ..subject.subject import check_dense, study_subject
from ..subject.threads import heed_grant
from ..subject.trial import Plan
from ..terminal.progress import duration
from ..terminal.tables import finalists_table, layers_table, left_dense_table
from .results import distinct

SHOW_EVERY = 10  # seconds between two lines on the steps of a long training
FROZEN = 8  # names of parameters that are listed


def show_layers(study: StudyFile, device: str | None, console: Console) -> None:
    """Prints what will be compressed, what not and why, and the data's splits; weights may be ``"none"``."""
    subject = study_subject(study, device=device, train=False)
    console.print(layers_table(subject.spec, study.ranks.form))
    if subject.spec.left_dense:
        console.print(left_dense_table(subject.spec))
    else:
        console.print("every layer with weights is compressed")
    if frozen := subject.frozen:
        text = f"frozen (requires_grad = False), never trained unless compressed: {some(frozen, FROZEN)}"
        console.print(text, soft_wrap=True)
    for sentence in subject.splits.protocol:
        console.print(sentence, soft_wrap=True)
    console.print(
        f"dense network: {subject.dense.accuracy:.2%} on the search split"
        + (", untrained: `search` trains it, once" if study.network.weights == "train" else ""),
    )
    highest = attainable_ratio(subject.spec, study.ranks.form, study.ranks.multiple_of)
    beyond = f"; ranks.ratio asks for {study.ranks.ratio[1]:g}" if study.ranks.ratio[1] > highest else ""
    console.print(f"compression ratios from 1 to {rounded_down(highest)} can be had{beyond}")
    if study.network.weights not in ("train", "none"):
        splits, expected = subject.splits, study.network.expect_accuracy
        try:
            check_dense(subject.dense.accuracy, splits.classes, len(splits.search), expected)
        except DenseAccuracyError as error:
            console.print(f"a search would refuse it: {error}", soft_wrap=True)


def export_selected(
    study: StudyFile,
    selection: str | None,
    file: Path | None,
    output: Path | None,
    to: str,
    forms: Forms | None = None,
) -> Iterator[tuple[Path, str]]:
    """Writes what ``selection`` names, or the network of a compressed checkpoint; see :func:`.export`."""

    def bench() -> Bench:
        heed_grant()
        splits = study_splits(study)
        return Bench(study_network(study, splits), splits, CLASSIFICATION)

    if file is None:
        history = read_history(study)
        store = NetworkStore(Artifacts.of(study, history.study.id))
        yield from export(history, selection or "knee", output, store, bench, to, forms)
    elif selection is None:
        yield export_file(file, output, bench, lambda: read_history(study), to, forms)
    else:
        raise SelectionError(f"--select {selection} and --from {file}: one of them")


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
    paths = list(dict.fromkeys(files))
    names = distinct([str(path.with_suffix("")) for path in paths], [str(path) for path in paths])
    ranks = dict(zip(names, map(RankFile.read, paths), strict=True))
    with reaching(study.storage_url):
        session = join_study(study, device=device)  # ranks need not come from a search
        for name, given in ranks.items():
            require_fit(given.configuration, session.subject.spec, name)
    folder = folder or study.folder / f"{study.name}.finetune"
    with reaching(study.storage_url):
        made = finetune(
            session,
            ranks,
            epochs=epochs or study.finetune.epochs,
            seeds=seeds or study.finetune.seeds,
            changes=study.finetune.changes | ({"init": "hooi"} if hooi else {}),
            folder=folder,
            on_step=step_lines(console),
        )
    dense = session.subject.final_stage.dense(session.subject.task).accuracy
    console.print(finalists_table(made.records))
    console.print(f"networks: {folder}/RUN.safetensors, by the last column", soft_wrap=True)
    console.print(f"dense network without further training: {dense:.2%} on the test split")
    return made.require()


def step_lines(console: Console) -> Callable[[Plan, int, int], None]:
    """Prints how far a long training is, every :data:`SHOW_EVERY` seconds and at its end."""
    began = shown = time.monotonic()

    def on_step(plan: Plan, done: int, of: int) -> None:
        nonlocal shown
        now = time.monotonic()
        if now - shown >= SHOW_EVERY or done == of:
            shown = now
            text = f"{plan.origin}, seed {plan.seed}: step {done}/{of}, {duration(now - began)}"
            console.print(text, soft_wrap=True)

    return on_step

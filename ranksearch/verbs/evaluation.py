"""``evaluate``: one file beside the dense network: accuracy, size, and latency by every runtime that is there."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec
import torch
from rich.console import Console
from rich.table import Table
from torch import Tensor, nn

from ..artifacts.forms import Forms, latencies_table, require_ranks
from ..errors import ExportError, SelectionError, nearest
from ..export import (
    RUNTIMES,
    Evaluation,
    OnnxNetwork,
    compare_latency,
    load_compressed,
    load_program,
    read_program_ranks,
    read_ranks,
    stored_bytes,
)
from ..layers import RankConfiguration, network_cost
from ..networks import with_linear_layers
from ..progressive import FLOAT32, judged, outputs_of
from ..records import Latency, Measurement, RankFile, require_fit
from ..study import StudyFile
from ..subject.stage import Stage
from ..subject.subject import Subject, study_subject
from ..subject.trial import measured, untrained
from ..terminal.tables import table

CPU = torch.device("cpu")
PYTORCH, PROGRAM, ONNXRUNTIME = "PyTorch", "torch.export", "onnxruntime"

Network = Callable[[Tensor], Tensor]


@dataclass(frozen=True)
class Opened:
    """A file that was read: the runtime that runs it, its ranks, the network, and the bytes it takes."""

    runtime: str
    ranks: RankFile
    network: Network
    bytes: int

    def measured(self, subject: Subject, stage: Stage) -> Measurement:
        """By its own runtime: PyTorch on the study's device in its precision, others on the CPU in float32."""
        if self.runtime == PYTORCH and isinstance(self.network, nn.Module):
            return measured(subject, stage, self.network)
        outputs = outputs_of(self.network, stage.measured, FLOAT32, CPU)
        return judged(outputs, stage.measured, stage.dense_outputs, subject.task, stage.split)


def evaluate_file(
    study: StudyFile,
    file: Path,
    *,
    device: str | None,
    batches: Sequence[int],
    trust: bool,
    console: Console,
    layers: str | None = None,
) -> list[Evaluation]:
    """Measures a rank file (truncated, untrained) or what ``export`` and ``finetune`` wrote beside the dense network.

    Args:
        batches: batch sizes whose latency is measured.
        layers: the runtime, one of :data:`~ranksearch.export.RUNTIMES`, by which each layer is timed in each form.
        trust: whether a ``.pt2`` may be loaded, which can run code that the file holds.

    Raises:
        ExportError: a ``.pt2`` without ``trust``, or a file that its runtime cannot read.
        RankError, WeightsError: a file of another network.
    """
    if file.suffix == ".pt2" and not trust:
        raise ExportError(f"{file}: loading a torch.export program can run code that it holds; --trust if it is yours")
    require_layers(file, layers)
    subject = study_subject(study, device=device)
    if file.suffix in READERS:
        opened = READERS[file.suffix](file, subject)
    else:
        opened = truncated(file, subject, study)
        console.print(f"{file} holds ranks, no weights: truncated without training", soft_wrap=True)
    stages = [subject.final_stage] if subject.splits.test else []
    if opened.ranks.measured is None or opened.ranks.measured.split == "search":  # else it was trained on those images
        stages.insert(0, subject.search_stage)
    on_splits = tuple(opened.measured(subject, stage) for stage in stages)
    dense = tuple(stage.dense(subject.task) for stage in stages)
    latency = latencies(subject, file.name, opened, batches, console)
    given = {
        "dense": (RankConfiguration({}), dense, stored_bytes(subject.network)),
        file.name: (opened.ranks.configuration, on_splits, opened.bytes),
    }
    found = []
    for name, (configuration, on, size) in given.items():
        plain, pivoted = (network_cost(subject.spec, configuration, form) for form in ("plain", "pivoted"))
        by_runtime = {runtime: times for (of, runtime), times in latency.items() if of == name}
        found.append(Evaluation(name, on, plain, pivoted, size, by_runtime))
    console.print(sizes_table(found))
    console.print(latency_table(found, batches))
    console.print(
        f"compression ratio {pivoted.compression_ratio:.2f}× pivoted, {plain.compression_ratio:.2f}× plain; MAC ratio "
        f"{pivoted.mac_ratio:.2f}× pivoted, {plain.mac_ratio:.2f}× plain; {stored_text(opened.ranks, subject)}",
        soft_wrap=True,
    )
    if layers:
        print_layers(subject, opened, layers, batches, console)
    return found


def stored_text(ranks: RankFile, subject: Subject) -> str:
    """In which forms the layers of a file are stored, and what they count so, where that is neither count."""
    if not ranks.layer_forms:
        return f"stored in {ranks.forms_text}"
    cost = network_cost(subject.spec, ranks.configuration, ranks.form, ranks.layer_forms)
    return (
        f"stored in {ranks.forms_text}: {cost.params:,} parameters, {cost.compression_ratio:.2f}×, "
        f"and {cost.macs:,} MACs, {cost.mac_ratio:.2f}×"
    )


def require_layers(file: Path, runtime: str | None) -> None:
    """Raises :class:`SelectionError` where ``file`` is not there, or ``runtime`` could not time its layers."""
    if not file.is_file():
        raise SelectionError(f"{file}: there is no such file")
    if runtime is None:
        return
    if runtime not in RUNTIMES:
        raise SelectionError(f"--layers {runtime!r} is no runtime{nearest(runtime, list(RUNTIMES))}")
    if file.suffix == ".safetensors":
        require_ranks(read_ranks(file))
    elif file.suffix in READERS:
        raise SelectionError(f"--layers times the layers of a rank file or a .safetensors; {file} has none any more")


def print_layers(subject: Subject, opened: Opened, runtime: str, batches: Sequence[int], console: Console) -> None:
    """Every compressed layer alone, in each form that it can take, by batch size."""
    assert isinstance(opened.network, nn.Module)
    example = subject.splits.train.example().to(subject.device)
    for batch in batches:
        forms = Forms.parse("fastest", runtime, batch)
        console.print(latencies_table(forms.time(opened.network, opened.ranks, example), forms))


def truncated(file: Path, subject: Subject, study: StudyFile) -> Opened:
    """A rank file: the dense network cut down to its ranks, batch norm re-estimated."""
    ranks = msgspec.structs.replace(fitting(RankFile.read(file), subject, file), layer_forms={})  # for a finished one
    network, _ = untrained(subject, subject.bases(study.ranks.basis), ranks.configuration, ranks.form)
    return Opened(PYTORCH, ranks, network, stored_bytes(network))


def checkpoint(file: Path, subject: Subject) -> Opened:
    ranks = fitting(read_ranks(file), subject, file)
    return Opened(PYTORCH, ranks, load_compressed(subject.network, file).to(subject.device), file.stat().st_size)


def onnx(file: Path, subject: Subject) -> Opened:
    network = OnnxNetwork(file)
    if network.ranks is None:
        raise ExportError(f"{file}: an ONNX file without ranks; was it written by `ranksearch export`?")
    return Opened(ONNXRUNTIME, fitting(network.ranks, subject, file), network, file.stat().st_size)


def program(file: Path, subject: Subject) -> Opened:
    ranks = fitting(read_program_ranks(file), subject, file)
    return Opened(PROGRAM, ranks, load_program(file), file.stat().st_size)


#: suffix → what reads such a file; any other suffix is a rank file's
READERS: dict[str, Callable[[Path, Subject], Opened]] = {".safetensors": checkpoint, ".onnx": onnx, ".pt2": program}


def fitting(ranks: RankFile, subject: Subject, file: Path) -> RankFile:
    require_fit(ranks.configuration, subject.spec, str(file))
    return ranks


def latencies(
    subject: Subject, name: str, opened: Opened, batches: Sequence[int], console: Console
) -> dict[tuple[str, str], tuple[Latency, ...]]:
    """By network and runtime, all in turn on one device: the study's for a file that PyTorch runs, else the CPU."""
    device = subject.device if opened.runtime == PYTORCH else CPU
    dense = with_linear_layers(subject.network).to(device)
    networks: dict[tuple[str, str], Network] = {("dense", PYTORCH): dense, (name, opened.runtime): opened.network}
    example = subject.splits.train.example().to(device)
    modules = {of: n for (of, runtime), n in networks.items() if runtime == PYTORCH and device == CPU}
    try:
        for of, module in modules.items():
            assert isinstance(module, nn.Module)
            networks[of, ONNXRUNTIME] = RUNTIMES["onnxruntime"](module, example)
    except ExportError as error:
        console.print(f"no latency by onnxruntime: {error}", soft_wrap=True)
    return compare_latency(networks, example, tuple(batches))


def sizes_table(evaluations: Sequence[Evaluation]) -> Table:
    """Networks side by side: accuracy, parameters and MACs in both forms, bytes."""
    splits = (f"{on.split}, {on.images:,} images" for on in evaluations[0].measured)
    counts = ("params, pivoted", "params, plain", "MACs, pivoted", "MACs, plain", "bytes")
    made = table("Accuracy and size", "network", *splits, *counts)
    for e in evaluations:
        counted = (e.pivoted.params, e.plain.params, e.pivoted.macs, e.plain.macs, e.bytes)
        made.add_row(e.label, *(f"{on.accuracy:.2%}" for on in e.measured), *(f"{n:,}" for n in counted))
    return made


def latency_table(evaluations: Sequence[Evaluation], batches: Sequence[int]) -> Table:
    """Networks and runtimes side by side: median and quartiles by batch size."""
    threads = torch.get_num_threads()
    made = table(
        f"Latency in ms, {threads} thread{'s' if threads > 1 else ''}: median (quartiles)",
        *("network", "runtime"),
        *(f"batch {batch}" for batch in batches),
    )
    made.columns[1].justify = "left"
    for e in evaluations:
        for runtime, latency in e.latency.items():
            times = (f"{t.median * 1e3:.2f} ({t.lower * 1e3:.2f}–{t.upper * 1e3:.2f})" for t in latency)
            made.add_row(e.label, runtime, *times)
    return made

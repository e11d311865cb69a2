"""What a compressed network is written as. Each is read back by its own runtime before it counts as written."""

import shutil
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from tempfile import TemporaryDirectory

import torch
from torch import nn

from ..errors import SelectionError
from ..export import (
    OnnxNetwork,
    load_compressed,
    load_program,
    model_card,
    require_same_outputs,
    save_compressed,
    save_int8,
    save_onnx,
    save_program,
    streamline,
)
from ..layers import Dense
from ..networks import Splits
from ..progressive import FLOAT32, Task, judged, outputs_of
from ..records import DENSE_CONTROL, Measurement, RankFile, StudyHistory, TrialRecord, require_fit
from .artifacts import file_digest
from .forms import Forms

CALIBRATION, TRIED = 512, 64  # training images that int8 is calibrated on; search images on which outputs are compared
CPU = torch.device("cpu")


@dataclass(frozen=True)
class Bench:
    """What exports are made and tried with.

    Attributes:
        network: dense, of the study's class; its weights do not matter.
        splits: images to trace, calibrate and try with.
        task: the score.
    """

    network: nn.Module
    splits: Splits
    task: Task

    def measured(self, network: Callable[[torch.Tensor], torch.Tensor]) -> Measurement:
        """Of anything that maps a batch to outputs, on the search split, on the CPU, in float32."""
        outputs = outputs_of(network, self.splits.search, FLOAT32, CPU)
        return judged(outputs, self.splits.search, None, self.task, "search")


@dataclass(frozen=True)
class Source:
    """One compressed network to be written.

    Attributes:
        ranks: its rank file.
        find: its checkpoint; raises :class:`SelectionError` where it was not kept.
        make_bench: what it is tried with; seconds.
        make_history: of its study.
        forms: in which its layers are written; as they were measured where None.
    """

    ranks: RankFile
    find: Callable[[], Path]
    make_bench: Callable[[], Bench]
    make_history: Callable[[], StudyHistory]
    forms: Forms | None = None

    @cached_property
    def checkpoint(self) -> Path:
        return self.find()

    @cached_property
    def bench(self) -> Bench:
        return self.make_bench()

    @cached_property
    def _formed(self) -> tuple[nn.Module, RankFile]:
        network = load_compressed(self.bench.network, self.checkpoint).cpu().float()
        return self.forms.apply(network, self.ranks, self.example)[:2] if self.forms else (network, self.ranks)

    @property
    def network(self) -> nn.Module:
        """The checkpoint on the study's class: float32, on the CPU, in evaluation mode, its layers as asked for."""
        return self._formed[0]

    @property
    def told(self) -> RankFile:
        """The rank file that says in which forms :attr:`network` has its layers."""
        return self._formed[1]

    @property
    def graph(self) -> nn.Module:
        """:attr:`network` for a file that holds its own graph: batch norm folded, adjacent 1×1 layers merged."""
        return streamline(self.network)

    @cached_property
    def example(self) -> torch.Tensor:
        return self.bench.splits.train.example()

    def require_same(self, read: Callable[[torch.Tensor], torch.Tensor], path: Path) -> str:
        """What to say of a file that computes what the network does; raises :class:`ExportError` where it does not."""
        few = self.bench.splits.search.first(TRIED)
        inputs, _ = next(few.batches(TRIED))
        difference = require_same_outputs(path.name, read, self.network, inputs)
        return f"read back on {len(inputs)} search images, outputs within {difference:.1g} of the network's"


def write_ranks(source: Source, path: Path) -> str:
    source.ranks.write(path)
    return ""


def write_safetensors(source: Source, path: Path) -> str:
    if source.forms is None:
        shutil.copyfile(source.checkpoint, path)
        return ""
    save_compressed(source.network, source.told, path)
    compressed = [name for name, r in source.told.configuration.layers.items() if not isinstance(r, Dense)]
    forms = Counter(source.told.layer_forms.get(name, source.told.form) for name in compressed)
    params = sum(p.numel() for p in source.network.parameters())
    return f"layers {', '.join(f'{form} {n}' for form, n in forms.most_common())}; {params:,} parameters"


def write_onnx(source: Source, path: Path) -> str:
    save_onnx(source.graph, source.example, path, source.told)
    return source.require_same(OnnxNetwork(path), path)


def write_program(source: Source, path: Path) -> str:
    save_program(source.graph, source.example, path, source.told)
    return source.require_same(load_program(path), path)


def write_int8(source: Source, path: Path) -> str:
    """int8 computes something else than float32: what it costs and saves is said."""
    train = source.bench.splits.train
    batches = train.batches(min(64, len(train)), seed=0, steps=-(-min(CALIBRATION, len(train)) // 64))
    with TemporaryDirectory() as folder:
        single = save_onnx(source.graph, source.example, Path(folder) / "float32.onnx", source.told)
        source.require_same(OnnxNetwork(single), path)
        save_int8(single, (inputs for inputs, _ in batches), path)
        before, after = (source.bench.measured(network) for network in (source.network, OnnxNetwork(path)))
        bytes_ = f"{single.stat().st_size:,} → {path.stat().st_size:,} bytes"
    accuracy = f"{before.accuracy:.2%} → {after.accuracy:.2%} on the search split, {after.images:,} images"
    return f"float32 → int8: {accuracy}; {bytes_}"


def write_card(source: Source, path: Path) -> str:
    history, checkpoint, ranks = source.make_history(), source.checkpoint, source.ranks
    require_fit(ranks.configuration, history.study.network, checkpoint.name)
    if ranks.network.get("weights") != history.study.fingerprint.get("weights"):
        raise SelectionError(
            f"{checkpoint}: compressed from other weights than those of study {history.study.name!r}, of which the "
            "card would tell: name the study file that it came from"
        )
    record = record_of(ranks, history)
    dense = {"dense network": history.study.dense}
    if ranks.measured and ranks.measured.split == "test":
        finalists = [t.record for t in history.finished("finalists") if t.record]
        controls = [r for r in finalists if r.origin == DENSE_CONTROL and r.recipe == ranks.recipe.control]
        dense |= {f"dense network, trained as long, seed {c.seed}": c.measured for c in controls}
    text = model_card(
        ranks,
        history.study,
        record=record,
        dense=dense,
        classes=source.bench.splits.classes,
        file_bytes=checkpoint.stat().st_size,
        digest=file_digest(checkpoint),
    )
    path.write_text(text, encoding="utf-8")
    return ""


def record_of(ranks: RankFile, history: StudyHistory) -> TrialRecord | None:
    """The training that a rank file comes from: of the search, or of a finalist."""
    finished = [t.record for room in ("trials", "finalists") for t in history.finished(room) if t.record]
    of = (ranks.configuration.digest, ranks.recipe, ranks.measured)
    return next((r for r in finished if (r.configuration.digest, r.recipe, r.measured) == of), None)


@dataclass(frozen=True)
class Export:
    """A way to write a network: the suffixes of its files, the first being the usual one; what writes it, and returns
    what there is to say of the file; whether the file holds the network, whose layers then have forms."""

    suffixes: tuple[str, ...]
    write: Callable[[Source, Path], str]
    holds_network: bool = True


EXPORTS: dict[str, Export] = {
    "ranks": Export((".json", ".yaml", ".yml"), write_ranks, holds_network=False),
    "safetensors": Export((".safetensors",), write_safetensors),
    "onnx": Export((".onnx",), write_onnx),
    "program": Export((".pt2",), write_program),
    "int8": Export((".int8.onnx", ".onnx"), write_int8),
    "card": Export((".md",), write_card, holds_network=False),
}


def export_named(path: Path | None) -> str:
    """Which of :data:`EXPORTS` a file's name asks for; rank files where it says nothing.

    >>> [export_named(Path(name)) for name in ("a.safetensors", "a.onnx", "a.int8.onnx", "a.json", "folder")]
    ['safetensors', 'onnx', 'int8', 'ranks', 'ranks']
    """
    by_suffix = {suffix: to for to, export in reversed(EXPORTS.items()) for suffix in export.suffixes}
    fitting = [suffix for suffix in by_suffix if path and path.name.endswith(suffix)]
    return by_suffix[max(fitting, key=len)] if fitting else "ranks"


def require_export(to: str) -> Export:
    """One of :data:`EXPORTS` by its name; raises :class:`SelectionError` for another."""
    if to not in EXPORTS:
        raise SelectionError(f"--to {to!r} is unknown; allowed: {', '.join(EXPORTS)}")
    return EXPORTS[to]


def write_export(source: Source, path: Path, to: str) -> str:
    """Writes one network, whole or not at all, and returns what there is to say of it.

    Raises:
        SelectionError: another suffix, or weights that were not kept.
        ExportError: what was written computes something else, or the network has no such form.
    """
    export = require_export(to)
    if not path.name.endswith(export.suffixes):
        raise SelectionError(f"{path}: --to {to} is written as {' or '.join(export.suffixes)}")
    if source.forms and not export.holds_network:
        raise SelectionError(f"--form is for files that hold the network; --to {to} holds none: leave it out")
    path.parent.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(dir=path.parent) as folder:
        part = Path(folder) / path.name
        said = export.write(source, part)
        part.replace(path)
    return said

"""Bases × allocators × ratios × counts: accuracy of the untrained network, and of chosen rows after a short training.

    RANKSEARCH_DATA=… python tests/benchmarks/allocation_table.py [--networks resnet20-cifar10] [--ratios 2 4 8] …
    … --finetune weights/uniform/4/pivoted activations+gradients/rate-distortion/4/pivoted --steps 500 --seeds 3

Ranks are allocated and counted in the same form; batch norm is re-estimated. Nothing is selected on the test split: it
is measured beside the search split, which public checkpoints have seen. Every measurement is a line of ``--records``;
what stands there is not measured again, so the same command goes on where it stopped, and ``--print`` only prints.
"""

import argparse
import csv
import itertools
import statistics
import time
from collections.abc import Iterator
from dataclasses import replace as replace_fields
from functools import cached_property
from pathlib import Path

import msgspec
import pandas as pd
from curves import write_curves
from msgspec.structs import asdict, replace

from ranksearch.allocation import ALLOCATORS, Allocator, RateDistortion
from ranksearch.decomposition import NestedBases
from ranksearch.errors import BudgetError, NonFiniteError
from ranksearch.layers import Basis, ErrorTable, Form, RankConfiguration, network_cost
from ranksearch.progressive import QuickLook, attach, set_decay
from ranksearch.records import NO_DECAY, Recipe
from ranksearch.records.recipe import AUGMENT
from ranksearch.study import read_study
from ranksearch.subject.looks import quick_looks
from ranksearch.subject.profiles import measure_profiles
from ranksearch.subject.stage import Stage
from ranksearch.subject.subject import Subject, study_subject
from ranksearch.subject.trial import Plan, finished, measured, run_trial
from ranksearch.subject.weight_search import search_weights
from ranksearch.verbs.allocate import LOOKED_AT, MEASURED

STUDIES = Path(__file__).parents[2] / "studies"
BASES: list[Basis] = ["weights", "activations", "activations+gradients"]
SEARCHED = "searched"  # weights of the default rate–distortion, by the distance on a few images
OTHERS = [MEASURED, SEARCHED]
TABLE = ["uniform", "energy", "evbmf-weakened", *(n for n in ALLOCATORS if ":" in n), *OTHERS]


class Cell(msgspec.Struct, frozen=True):
    """What is measured: untrained, or trained for ``steps`` with ``seed``."""

    network: str
    basis: Basis
    allocator: str
    ratio: float
    form: Form
    steps: int = 0
    seed: int = 0


class Row(Cell, frozen=True):
    """A cell and its measurement; ratios by the cell's form, ``ranks`` the configuration's digest, wall seconds."""

    compression_ratio: float = 0.0
    mac_ratio: float = 0.0
    search: float = 0.0
    test: float = 0.0
    distance: float = 0.0
    images: int = 0  # of the test split, evenly spaced, and as many of the search split
    seconds: float = 0.0
    ranks: str = ""
    machine: str = ""

    @property
    def cell(self) -> Cell:
        return Cell(*(getattr(self, name) for name in Cell.__struct_fields__))


class Records:
    """The raw records: a CSV file that only grows."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.rows: list[Row] = []
        if path.exists():
            with path.open(newline="") as lines:
                self.rows = msgspec.convert(list(csv.DictReader(lines)), list[Row], strict=False)

    def add(self, row: Row) -> None:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with self.path.open("a", newline="") as lines:
            writer = csv.DictWriter(lines, Row.__struct_fields__)
            if not self.rows:
                writer.writeheader()
            writer.writerow(asdict(row))
        self.rows.append(row)


class Bench:
    """One network with its bases, and the ways to choose its ranks."""

    def __init__(self, network: str, options: argparse.Namespace) -> None:
        self.network, self.options = network, options
        self._bases: dict[Basis, dict[str, NestedBases]] = {}
        self._looks: dict[Basis, QuickLook] = {}
        self._profiles: dict[tuple[Basis, Form], Allocator] = {}

    @cached_property
    def subject(self) -> Subject:
        subject = study_subject(read_study(STUDIES / f"{self.network}.toml"), device=self.options.device)
        return replace_fields(subject, reestimate=min(self.options.images or subject.reestimate, subject.reestimate))

    @cached_property
    def stages(self) -> tuple[Stage, Stage]:
        """Search and test."""
        whole = (self.subject.search_stage, self.subject.final_stage)
        search, test = (stage.sample(self.options.images) if self.options.images else stage for stage in whole)
        return search, replace_fields(test, precision=search.precision)

    def bases(self, basis: Basis) -> dict[str, NestedBases]:
        if basis not in self._bases:
            self._bases[basis] = self.subject.bases(basis)
        return self._bases[basis]

    def look(self, basis: Basis) -> QuickLook:
        if basis not in self._looks:
            looks = quick_looks(self.subject, self.bases(basis), None, ["untrained"], LOOKED_AT)
            self._looks[basis] = looks["untrained"]
        return self._looks[basis]

    def ranks(self, cell: Cell) -> RankConfiguration:
        spec, tables = self.subject.spec, {name: b.table for name, b in self.bases(cell.basis).items()}
        if cell.allocator == SEARCHED:
            allocate = RateDistortion(spec, tables, cell.form)
            return search_weights(allocate, cell.ratio, self.look(cell.basis), candidates=self.options.search)
        allocator = self.measured(cell, tables) if cell.allocator == MEASURED else ALLOCATORS[cell.allocator]
        return allocator(spec, tables, cell.ratio, form=cell.form)

    def measured(self, cell: Cell, tables: dict[str, ErrorTable]) -> Allocator:
        key = (cell.basis, cell.form)
        if key not in self._profiles:
            profiles = measure_profiles(self.subject.spec, tables, cell.form, self.look(cell.basis))
            self._profiles[key] = Allocator.summing(MEASURED, profiles)
        return self._profiles[key]

    def measure(self, cell: Cell, configuration: RankConfiguration) -> Row:
        """Search and test accuracy; 0 where training or its outputs became non-finite."""
        began, subject, bases = time.perf_counter(), self.subject, self.bases(cell.basis)
        cost = network_cost(subject.spec, configuration, cell.form)
        search, test = self.stages
        row = Row(**asdict(cell), compression_ratio=cost.compression_ratio, mac_ratio=cost.mac_ratio)
        row = replace(row, images=len(test.measured))
        try:
            if cell.steps:
                recipe = Recipe(images=128 * cell.steps, augment=self.options.augment)
                plan = Plan(configuration, NO_DECAY, recipe, cell.seed)
                network = run_trial(subject, bases, plan, cell.form)[0]
            else:
                network = attach(subject.network, bases, configuration)
                set_decay(network, NO_DECAY, 0.0)
                network = finished(subject, search, network, cell.form)
            if network is not None:
                found, last = measured(subject, search, network), measured(subject, test, network)
                row = replace(row, search=found.accuracy, distance=found.distance or 0.0, test=last.accuracy)
        except NonFiniteError as error:
            print(f"{cell}: {error}")
        machine = f"{subject.machine.device}, {subject.machine.threads} threads, {subject.machine.precision}"
        seconds = round(time.perf_counter() - began, 2)
        return replace(row, seconds=seconds, ranks=configuration.digest, machine=machine)


def cells(options: argparse.Namespace) -> Iterator[Cell]:
    axes = (options.networks, options.bases, options.allocators, options.ratios, options.forms)
    for axis in itertools.product(*axes):
        yield Cell(*axis)
    for network, line, seed in itertools.product(options.networks, options.finetune, range(options.seeds)):
        basis, allocator, ratio, form = line.split("/")
        yield Cell(network, basis, allocator, float(ratio), form, options.steps, seed)


def fill(options: argparse.Namespace, records: Records) -> None:
    """Measures every cell that is not in the records; one whose ranks were measured takes that measurement over."""
    benches = {name: Bench(name, options) for name in options.networks}
    known = {row.cell for row in records.rows}
    for cell in cells(options):
        if cell in known:
            continue
        bench = benches[cell.network]
        began = time.perf_counter()
        try:
            configuration = bench.ranks(cell)
        except BudgetError as error:
            print(f"{cell}: {error}")
            continue
        chosen = time.perf_counter() - began

        def same(row: Row, cell: Cell = cell, ranks: str = configuration.digest) -> bool:
            alike = replace(row.cell, allocator=cell.allocator, ratio=cell.ratio) == cell
            return alike and row.ranks == ranks

        found = next((row for row in records.rows if same(row)), None)
        row = replace(found, **asdict(cell)) if found else bench.measure(cell, configuration)
        records.add(row)
        print(
            f"{'/'.join(map(str, asdict(cell).values()))}: search {row.search:.2%}, test {row.test:.2%}; chosen in "
            f"{chosen:.1f} s, measured in {row.seconds:.1f} s",
            flush=True,
        )


def tables(rows: list[Row], ratios: list[float]) -> Iterator[str]:
    """Markdown: a table per network and form of untrained accuracies, then the trained rows."""
    first = {row.cell: row for row in rows}
    for network, form in sorted({(r.network, r.form) for r in rows if not r.steps}):
        yield f"\n{network}, {form} count, untrained: search / test accuracy in % at a compression ratio of\n"
        yield "| basis | allocator | " + " | ".join(f"{ratio:g}×" for ratio in ratios) + " |"
        yield "|---|---|" + "---|" * len(ratios)
        for basis, allocator in itertools.product(BASES, TABLE):
            found = [first.get(Cell(network, basis, allocator, ratio, form)) for ratio in ratios]
            if any(found):
                shown = (f"{100 * r.search:.1f} / {100 * r.test:.1f}" if r else "–" for r in found)
                yield f"| {basis} | {allocator} | " + " | ".join(shown) + " |"
    trained = sorted({replace(r.cell, seed=0) for r in rows if r.steps}, key=lambda c: (c.network, c.ratio, c.form))
    if trained:
        yield "\nAfter training: test accuracy in %, mean ± standard deviation over seeds\n"
        yield "| network | basis | allocator | ratio, count | steps | untrained | trained | seeds |"
        yield "|---|---|---|---|---|---|---|---|"
    for cell in trained:
        tests = [100 * r.test for r in rows if replace(r.cell, seed=0) == cell]
        spread = f" ± {statistics.stdev(tests):.2f}" if len(tests) > 1 else ""
        before = first.get(replace(cell, steps=0))
        yield (
            f"| {cell.network} | {cell.basis} | {cell.allocator} | {cell.ratio:g}× {cell.form} | {cell.steps} | "
            f"{f'{100 * before.test:.1f}' if before else '–'} | {statistics.mean(tests):.2f}{spread} | {len(tests)} |"
        )


def curves(rows: list[Row], network: str) -> dict[str, dict[float, float]]:
    """Every allocator on the default bases, and the best on the others; test accuracy by the ratio that was reached."""
    found: dict[str, dict[float, float]] = {}
    for row in rows:
        best = row.allocator == "rate-distortion:weighted-log"
        if (row.network, row.form, row.steps) == (network, "pivoted", 0) and (row.basis == BASES[-1] or best):
            found.setdefault(f"{row.allocator}, {row.basis}", {})[row.compression_ratio] = 100 * row.test
    return dict(sorted(found.items(), key=lambda curve: -max(curve[1].values())))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add("--networks", nargs="*", default=["resnet20-cifar10", "resnet56-cifar10", "vgg16-cifar10"], help="studies")
    add("--ratios", nargs="*", type=float, default=[2.0, 3.0, 4.0, 6.0, 8.0])
    add("--bases", nargs="*", default=BASES)
    add("--allocators", nargs="*", default=TABLE, choices=[n for n, a in ALLOCATORS.items() if a.takes_ratio] + OTHERS)
    add("--forms", nargs="*", default=["plain", "pivoted"])
    add("--search", type=int, default=60, help=f"weightings tried by {SEARCHED!r}")
    add("--finetune", nargs="*", default=[], metavar="BASIS/ALLOCATOR/RATIO/FORM", help="rows that are also trained")
    add("--steps", type=int, default=500, help="of 128 images")
    add("--augment", default="flip", choices=AUGMENT, help="of the trained rows; another one wants other --records")
    add("--seeds", type=int, default=3, help="of every trained row")
    add("--images", type=int, default=0, help="of search and of test to measure on, and for batch norm")
    add("--records", type=Path, default=Path("reports/allocation/records.csv"))
    add("--device")
    add("--print", action="store_true", help="print the tables of what is there; measure nothing")
    add("--figure", type=Path, help="HTML page with the first network's curves by the pivoted count, untrained")
    add("--parquet", type=Path, help="the records, as Parquet")
    options = parser.parse_args()
    records = Records(options.records)
    if not options.print:
        fill(options, records)
    print("\n".join(tables(records.rows, options.ratios)))
    if options.figure:
        write_curves(options.figure, "test accuracy, untrained, %", curves(records.rows, options.networks[0]))
    if options.parquet:
        pd.DataFrame(map(asdict, records.rows)).to_parquet(options.parquet)


if __name__ == "__main__":
    main()

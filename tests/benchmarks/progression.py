"""When does progression pay? Fine-tunings that differ in decay, start, budget, ratio, in what learns, and nothing else.

    RANKSEARCH_DATA=… python tests/benchmarks/progression.py run STUDY.toml GRID --folder FOLDER [--seeds 2] [--cpus 1]
    python tests/benchmarks/progression.py table FOLDER/GRID-STUDY.jsonl [--parquet FILE]

Ranks are the closed form's. Everything that a cell does not name is the study file's, ranges at their default. The
elastic adapter, where a cell starts from it, is trained once, by ``--elastic-steps``. A cell is a line of
FOLDER/GRID-STUDY.jsonl; what stands there is not run again. Accuracy on the search split decides; test stands beside.
Without a GPU, a cell's memory is how far its process grew: true of the first cell of a process only.
"""

import argparse
import itertools
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pandas as pd
from msgspec.structs import asdict, replace
from rich.console import Console
from variants import variant

from ranksearch.records import NO_DECAY, DecaySchedule
from ranksearch.records.recipe import LEARN, Init, Learn
from ranksearch.records.schedule import FADES, ORDERS
from ranksearch.runner.elastic_stage import elastic_stage
from ranksearch.runner.founding import join_study
from ranksearch.runner.session import Session
from ranksearch.runner.threads import use_cores
from ranksearch.runner.trial import Plan, measured, run_trial
from ranksearch.study import StudyFile, read_study

LINEAR, COSINE = DecaySchedule(shape="linear"), DecaySchedule(shape="cosine")
FULL = DecaySchedule(shape="linear", fade="full")
STARTS: tuple[Init, ...] = ("decomposition", "elastic")


class Cell(msgspec.Struct, frozen=True, kw_only=True):
    """One fine-tuning."""

    ratio: float
    images: int
    schedule: DecaySchedule = NO_DECAY
    init: Init = "decomposition"
    learn: Learn = "adapters+norm"
    distillation: float = 0.9
    seed: int = 0


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """What a cell reached, and what it cost: MiB, seconds of the whole trial and of a step."""

    study: str
    cell: Cell
    compression_ratio: float
    search: float
    test: float
    distance: float | None
    seconds: float
    seconds_per_step: float
    trainable_params: int
    peak_memory: float
    machine: str


def source() -> Iterator[Cell]:
    """The central claim: four schedules, two starts (an elastic one is its own residual), two budgets, two ratios."""
    for images, ratio, init in itertools.product((64_000, 256_000), (4.0, 8.0), STARTS):
        for schedule in (NO_DECAY, LINEAR, COSINE, *([FULL] if init == "decomposition" else [])):
            yield Cell(ratio=ratio, images=images, schedule=schedule, init=init)


def every() -> Iterator[Cell]:
    """Budget × ratio × shape × fade × end × order × distillation, from the decomposition."""
    shapes, ends = ("linear", "cosine"), (0.3, 0.7)
    decays = [
        DecaySchedule(shape=shape, fade=fade, end=end, order=order)
        for shape, fade, end, order in itertools.product(shapes, FADES, ends, ORDERS)
    ]
    for images, ratio, distillation in itertools.product((12_800, 51_200), (16.0, 48.0), (0.9, 0.0)):
        for schedule in (NO_DECAY, *decays):
            yield Cell(ratio=ratio, images=images, schedule=schedule, distillation=distillation)


def what_learns() -> Iterator[Cell]:
    """The other claim, that training only the adapters saves resources."""
    for ratio, schedule, learn in itertools.product((4.0, 8.0), (NO_DECAY, LINEAR), LEARN):
        yield Cell(ratio=ratio, images=64_000, schedule=schedule, learn=learn)


GRIDS = {"source": source, "every": every, "learn": what_learns}


def grid_study(given: StudyFile, folder: Path, elastic_steps: int) -> StudyFile:
    """The study with a storage of its own and an elastic adapter of so many steps."""
    changes = {"training": {"init": "elastic"}, "elastic": {"steps": elastic_steps}, "search": {"closed_form": 0}}
    return variant(given, f"{given.name}-progression", folder, changes)


def run_cell(session: Session, cell: Cell) -> Row:
    configuration = session.variables.allocate(cell.ratio, {}, {})
    _, recipe = session.variables.default_training()
    recipe = replace(
        recipe, images=cell.images, init=cell.init, learn=cell.learn, distillation=cell.distillation
    )  # fmt: skip
    network, bases = session.start(cell.init)
    plan = Plan(configuration, cell.schedule, recipe, cell.seed, origin="benchmark")
    compressed, record = run_trial(session.subject, bases, plan, session.form, network=network)
    test = measured(session.subject, session.subject.final_stage, compressed).accuracy if compressed else 0.0
    return Row(
        study=session.study.name.removesuffix("-progression"),
        cell=cell,
        compression_ratio=record.counted.compression_ratio,
        search=record.measured.accuracy,
        test=test,
        distance=record.measured.distance,
        seconds=record.cost.seconds,
        seconds_per_step=record.cost.seconds_per_step,
        trainable_params=record.cost.trainable_params,
        peak_memory=record.cost.peak_memory,
        machine=f"{record.machine.processor}, {record.machine.threads} threads, {record.machine.precision}",
    )


def read(path: Path) -> list[Row]:
    return [msgspec.json.decode(line, type=Row) for line in path.read_bytes().splitlines()] if path.exists() else []


def run(options: argparse.Namespace) -> None:
    if options.cpus:
        use_cores(options.cpus)
    options.folder.mkdir(parents=True, exist_ok=True)
    given = read_study(options.study)
    path = options.folder / f"{options.grid}-{given.name}.jsonl"
    cells = [replace(c, seed=s) for s in range(options.seeds) for c in GRIDS[options.grid]()]
    todo = [cell for cell in cells if cell not in {row.cell for row in read(path)}]
    session = join_study(grid_study(given, options.folder, options.elastic_steps))
    if any(cell.init == "elastic" for cell in todo):
        elastic_stage(session, Console())
    for place, cell in enumerate(todo[: options.cells]):
        row = run_cell(session, cell)
        with path.open("ab") as file:
            file.write(msgspec.json.encode(row) + b"\n")
        print(f"{place + 1}/{len(todo)} {cell}: search {row.search:.2%}, test {row.test:.2%}", flush=True)


def table(options: argparse.Namespace) -> None:
    """Means over the seeds, and each decay's difference from none under the same conditions."""
    rows = pd.DataFrame(
        asdict(row.cell.schedule) | {k: v for k, v in asdict(row.cell).items() if k != "schedule"} | asdict(row)
        for path in options.records
        for row in read(path)
    ).drop(columns="cell")
    conditions = ["study", "images", "ratio", "init", "learn", "distillation"]
    keys = [*conditions, "shape", "fade", "end", "order"]
    means = rows.groupby(keys, sort=False).agg(
        seeds=("seed", "count"), search=("search", "mean"), test=("test", "mean"), spread=("search", "std"),
        seconds=("seconds", "mean"), peak_memory=("peak_memory", "mean"), trainable_params=("trainable_params", "mean"),
    ).reset_index()  # fmt: skip
    none = means[means["shape"] == "none"].set_index(conditions)["search"]
    print(
        "| study | images | ratio | start | learns | distillation | decay | seeds | search | gain over none | test | "
        "seconds | MiB | trainable |\n|" + "---|" * 14
    )
    for row in means.itertuples():
        at = tuple(getattr(row, name) for name in conditions)
        decay = "none" if row.shape == "none" else f"{row.shape}, {row.fade}, to {row.end:g}, {row.order}"
        gain = f"{100 * (row.search - none[at]):+.2f}" if at in none.index and row.shape != "none" else ""
        print(
            f"| {row.study} | {row.images:,} | {row.ratio:g}× | {row.init} | {row.learn} | {row.distillation:g} | "
            f"{decay} | {row.seeds} | {row.search:.2%} | {gain} | {row.test:.2%} | {row.seconds:.0f} | "
            f"{row.peak_memory:.0f} | {row.trainable_params:,.0f} |"
        )
    if options.parquet:
        options.parquet.parent.mkdir(parents=True, exist_ok=True)
        rows.to_parquet(options.parquet, index=False)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(required=True)
    runs = commands.add_parser("run")
    runs.add_argument("study", type=Path)
    runs.add_argument("grid", choices=GRIDS)
    runs.add_argument("--folder", type=Path, required=True)
    runs.add_argument("--seeds", type=int, default=2)
    runs.add_argument("--elastic-steps", type=int, default=2000)
    runs.add_argument("--cells", type=int, help="at most; 1, again and again, measures the memory of each")
    runs.add_argument("--cpus", type=int)
    runs.set_defaults(does=run)
    tables = commands.add_parser("table")
    tables.add_argument("records", type=Path, nargs="+")
    tables.add_argument("--parquet", type=Path)
    tables.set_defaults(does=table)
    options = parser.parse_args()
    options.does(options)


if __name__ == "__main__":
    main()

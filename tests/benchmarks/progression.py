"""When does progression pay? Fine-tunings that differ in decay, start, budget, ratio, in what learns, and nothing else.

    RANKSEARCH_DATA=… python tests/benchmarks/progression.py run STUDY.toml GRID --folder FOLDER [--where QUERY]
    python tests/benchmarks/progression.py table FOLDER [--where QUERY] [--across] [--on test]
        [--parquet FILE] [--figure PAGE.html]

Ranks are the closed form's. Everything that a cell does not name is the study file's, ranges at their default. The
elastic adapter, where a cell starts from it, is trained once, by ``--elastic-steps``. A cell is a Parquet file in
FOLDER; what one holds is not run again. Accuracy on the search split decides; test stands beside.
Without a GPU, a cell's memory is how far its process grew: true of the first cell of a process only.
"""

import argparse
import itertools
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import pandas as pd
from curves import line_of, write_page
from held import held, records_in
from msgspec.structs import asdict, replace
from rich.console import Console
from variants import variant

from ranksearch.records import NO_DECAY, DecaySchedule
from ranksearch.records.recipe import LEARN, Init, Learn
from ranksearch.records.schedule import FADES, ORDERS
from ranksearch.report.canvas import canvas
from ranksearch.runner.elastic_stage import elastic_stage
from ranksearch.runner.founding import join_study
from ranksearch.runner.session import Session
from ranksearch.study import StudyFile, read_study
from ranksearch.subject.threads import use_cores
from ranksearch.subject.trial import Plan, measured, run_trial

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


def longer() -> Iterator[Cell]:
    """Whether longer budgets change the answer of ``every``, at the ratio where it is open."""
    decays = (
        DecaySchedule(shape="linear", end=0.3, order="back-to-front"),
        DecaySchedule(shape="linear", fade="full", end=0.3),
        DecaySchedule(shape="cosine", fade="full", end=0.3, order="front-to-back"),
    )
    for images, schedule in itertools.product((204_800, 819_200), (NO_DECAY, *decays)):
        yield Cell(ratio=48.0, images=images, schedule=schedule)


def what_learns() -> Iterator[Cell]:
    """The other claim, that training only the adapters saves resources."""
    for ratio, schedule, learn in itertools.product((4.0, 8.0), (NO_DECAY, LINEAR), LEARN):
        yield Cell(ratio=ratio, images=64_000, schedule=schedule, learn=learn)


DECAY = ("shape", "fade", "end", "order")
CELL = ("ratio", "images", "init", "learn", "distillation", "seed", *DECAY)  # as `columns` has them
CONDITIONS = ["study", "images", "ratio", "init", "learn", "distillation"]

GRIDS = {"source": source, "every": every, "longer": longer, "learn": what_learns}


def grid_study(given: StudyFile, folder: Path, elastic_steps: int) -> StudyFile:
    """The study with a storage of its own and an elastic adapter of so many steps."""
    changes = {"training": {"init": "elastic"}, "elastic": {"steps": elastic_steps}, "search": {"closed_form": 0}}
    return variant(given, f"{given.name}-progression", folder, changes)


def columns(cell: Cell) -> dict[str, Any]:
    """A cell as a row has it."""
    settings = {name: value for name, value in asdict(cell).items() if name != "schedule"}
    return settings | asdict(cell.schedule)


def run_cell(session: Session, cell: Cell) -> dict[str, Any]:
    """One row: what a cell reached on either split, and what it cost: MiB, seconds of the whole trial and of a step."""
    configuration = session.variables.allocate(cell.ratio, {}, {})
    _, recipe = session.variables.default_training()
    recipe = replace(recipe, images=cell.images, init=cell.init, learn=cell.learn, distillation=cell.distillation)
    network, bases = session.start(cell.init)
    plan = Plan(configuration, cell.schedule, recipe, cell.seed, origin="benchmark")
    compressed, record = run_trial(session.subject, bases, plan, session.form, network=network)
    test = measured(session.subject, session.subject.final_stage, compressed).accuracy if compressed else 0.0
    machine = record.machine
    return columns(cell) | {
        "compression_ratio": record.counted.compression_ratio,
        "search": record.measured.accuracy,
        "test": test,
        "distance": record.measured.distance,
        "seconds": record.cost.seconds,
        "seconds_per_step": record.cost.seconds_per_step,
        "trainable_params": record.cost.trainable_params,
        "peak_memory": record.cost.peak_memory,
        "machine": f"{machine.processor}, {machine.threads} threads, {machine.precision}",
    }


def run(options: argparse.Namespace) -> None:
    if options.cpus:
        use_cores(options.cpus)
    options.folder.mkdir(parents=True, exist_ok=True)
    given = read_study(options.study)
    made = held(options.folder, ("study", *CELL))
    seeds = range(options.first, options.first + options.seeds)
    cells = [replace(cell, seed=seed) for seed in seeds for cell in GRIDS[options.grid]()]
    if options.where:
        cells = [cells[place] for place in pd.DataFrame(map(columns, cells)).query(options.where).index]
    todo = [cell for cell in cells if (given.name, *columns(cell).values()) not in made]
    session = join_study(grid_study(given, options.folder, options.elastic_steps))
    if any(cell.init == "elastic" for cell in todo):
        elastic_stage(session, Console())
    for place, cell in enumerate(todo[: options.cells]):
        row = {"study": given.name, "grid": options.grid} | run_cell(session, cell)
        name = "-".join(str(value) for value in (given.name, *columns(cell).values()))
        pd.DataFrame([row]).to_parquet(options.folder / f"{name}.parquet", index=False)
        print(f"{place + 1}/{len(todo)} {cell}: search {row['search']:.2%}, test {row['test']:.2%}", flush=True)


def means_of(rows: pd.DataFrame, on: str) -> pd.DataFrame:
    """Means over the seeds, and by how many points each decay is better than none ``on`` a split, seed by seed."""
    rows = rows.sort_values(["study", "images", "ratio", "init", "learn", "distillation", "shape", "seed"])
    none = rows[rows["shape"] == "none"].set_index([*CONDITIONS, "seed"])[on]
    at = pd.MultiIndex.from_frame(rows[[*CONDITIONS, "seed"]])
    rows = rows.assign(gain=100 * (rows[on] - none.reindex(at).to_numpy()))
    means = rows.groupby([*CONDITIONS, *DECAY], sort=False).agg(
        seeds=("seed", "count"), search=("search", "mean"), test=("test", "mean"), gain=("gain", "mean"),
        spread=("gain", "std"), seconds=("seconds", "mean"), peak_memory=("peak_memory", "mean"),
        trainable_params=("trainable_params", "mean"),
    )  # fmt: skip
    return means.reset_index()


def decay_words(row: Any) -> str:
    return "none" if row.shape == "none" else f"{row.shape}, {row.fade}, to {row.end:g}, {row.order}"


def table(options: argparse.Namespace) -> None:
    """The means, the raw records in one file, the picture: what each decay gains, condition by condition."""
    rows = records_in(options.folder)
    means = means_of(rows.query(options.where) if options.where else rows, options.on)
    (across if options.across else down)(means, options.on)
    if options.parquet:
        options.parquet.parent.mkdir(parents=True, exist_ok=True)
        rows.to_parquet(options.parquet, index=False)
    if options.figure:
        write_gains(options.figure, means[means["shape"] != "none"], options.on)


def across(means: pd.DataFrame, on: str) -> None:
    """A column for each condition, a row for each decay: what none reaches, and what the others gain over it."""
    named = [name for name in CONDITIONS if len(set(means[name])) > 1]
    means = means.assign(
        decay=[decay_words(row) for row in means.itertuples()], cell=[gain(r, on) for r in means.itertuples()]
    )
    cells = means.pivot_table(index="decay", columns=named, values="cell", aggfunc="first").fillna("")
    heads = [condition_words(named, values, ", ") for values in cells.columns]
    print(f"| decay | {' | '.join(heads)} |\n|" + "---|" * (1 + len(heads)))
    for decay, row in cells.sort_index(key=lambda names: names != "none", kind="stable").iterrows():
        print(f"| {decay} | {' | '.join(row)} |")


def gain(row: Any, on: str) -> str:
    if row.shape == "none":
        return f"{getattr(row, on):.2%}"
    return f"{row.gain:+.2f}" + (f" ± {row.spread:.2f}" if row.seeds > 1 else "")


def down(means: pd.DataFrame, on: str) -> None:
    """A row for each condition and decay."""
    print(
        "| study | images | ratio | start | learns | distillation | decay | seeds | search | "
        f"gain on {on} over none, paired | test | seconds | MiB | trainable |\n|" + "---|" * 14
    )
    for row in means.itertuples():
        over = "" if row.shape == "none" else gain(row, on)
        print(
            f"| {row.study} | {row.images:,} | {row.ratio:g}× | {row.init} | {row.learn} | {row.distillation:g} | "
            f"{decay_words(row)} | {row.seeds} | {row.search:.2%} | {over} | {row.test:.2%} | {row.seconds:.0f} | "
            f"{row.peak_memory:.0f} | {row.trainable_params:,.0f} |"
        )


def condition_words(named: list[str], values: Iterable[Any], between: str) -> str:
    words = {"images": "{:,} images", "ratio": "{:g}×", "distillation": "distillation {:g}"}
    return between.join(words.get(name, "{}").format(value) for name, value in zip(named, values, strict=True))


def write_gains(path: Path, means: pd.DataFrame, on: str) -> None:
    """A page with one marker per decay and condition."""
    named = [name for name in CONDITIONS if len(set(means[name])) > 1]
    figure = canvas("", f"points of {on} accuracy over no decay")
    means = means.assign(decay=[decay_words(row) for row in means.itertuples()])
    for place, (decay, of) in enumerate(means.groupby("decay", sort=False)):
        x = [condition_words(named, values, "<br>") for values in of[named].itertuples(index=False)]
        error = {"type": "data", "array": of["spread"].fillna(0), "thickness": 1}
        marker = {"color": line_of(place)["color"], "size": 9}
        figure.add_scatter(x=x, y=of["gain"], error_y=error, name=decay, mode="markers", marker=marker)
    figure.add_hline(y=0)
    write_page(path, figure)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(required=True)
    runs = commands.add_parser("run")
    runs.add_argument("study", type=Path)
    runs.add_argument("grid", choices=GRIDS)
    runs.add_argument("--folder", type=Path, required=True)
    runs.add_argument("--seeds", type=int, default=2)
    runs.add_argument("--first", type=int, default=0, help="seed")
    runs.add_argument("--elastic-steps", type=int, default=2000)
    runs.add_argument("--where", help="of the cells, as pandas has it: \"images == 64000 and shape == 'none'\"")
    runs.add_argument("--cells", type=int, help="at most; 1, again and again, measures the memory of each")
    runs.add_argument("--cpus", type=int)
    runs.set_defaults(does=run)
    tables = commands.add_parser("table")
    tables.add_argument("folder", type=Path)
    tables.add_argument("--where", help="of the records that are shown, as pandas has it")
    tables.add_argument("--across", action="store_true", help="a column for each condition")
    tables.add_argument("--on", choices=["search", "test"], default="search", help="split of the gains")
    tables.add_argument("--parquet", type=Path)
    tables.add_argument("--figure", type=Path)
    tables.set_defaults(does=table)
    options = parser.parse_args()
    options.does(options)


if __name__ == "__main__":
    main()

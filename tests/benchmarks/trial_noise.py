"""How well short trainings compare networks of nearly equal size, with one seed for all of them and with a seed each.

    RANKSEARCH_DATA=… python tests/benchmarks/trial_noise.py run STUDY.toml --images N --ratio R --folder FOLDER
    python tests/benchmarks/trial_noise.py table FOLDER [--parquet FILE]

Five closed-form configurations within 6 % of one ratio, trained without decay from the decomposition, every one with
every seed. A difference between two has, over the seeds that both share, one standard deviation; with independent
seeds it would have √2 times that of a single one. A seed is a Parquet file in FOLDER; what one holds is not run again.
"""

import argparse
from itertools import combinations
from pathlib import Path
from statistics import mean

import msgspec
import pandas as pd
from held import held, records_in

from ranksearch.allocation import ALLOCATORS
from ranksearch.records import NO_DECAY, trial_seed
from ranksearch.study import read_study, training_of
from ranksearch.subject.subject import study_subject
from ranksearch.subject.threads import use_cores
from ranksearch.subject.trial import Plan, run_trial

FACTORS = (0.94, 0.97, 1.0, 1.03, 1.06)  # of the ratio
CELL = ("study", "images", "ratio", "seed")


def run(options: argparse.Namespace) -> None:
    if options.cpus:
        use_cores(options.cpus)
    options.folder.mkdir(parents=True, exist_ok=True)
    study = read_study(options.study)
    subject = study_subject(study)
    bases = subject.bases(study.ranks.basis)
    rule = ALLOCATORS[f"rate-distortion:{study.ranks.distortion}"]
    configurations = {
        factor: rule(subject.spec, {n: b.table for n, b in bases.items()}, factor * options.ratio, form="pivoted")
        for factor in FACTORS
    }
    _, recipe = training_of(study, len(subject.splits.train))
    recipe = msgspec.structs.replace(recipe, images=options.images, init="decomposition")
    made = held(options.folder, CELL)
    for seed in range(options.seeds):
        if (study.name, options.images, options.ratio, seed) in made:
            continue
        rows = []
        for factor, configuration in configurations.items():
            plan = Plan(configuration, NO_DECAY, recipe, trial_seed(seed, "trials"))
            record = run_trial(subject, bases, plan, study.ranks.form)[1]
            rows.append(
                {"study": study.name, "images": options.images, "ratio": options.ratio, "seed": seed}
                | {"factor": factor, "configuration": configuration.digest}
                | {"accuracy": record.measured.accuracy, "distance": record.measured.distance}
                | {"seconds": record.cost.seconds, "training_seconds": record.cost.training_seconds}
            )
        name = f"{study.name}-{options.images}-{options.ratio:g}-{seed}"
        pd.DataFrame(rows).to_parquet(options.folder / f"{name}.parquet", index=False)
        print(name, *(f"{row['accuracy']:.2%}" for row in rows), flush=True)


def table(options: argparse.Namespace) -> None:
    """Standard deviations, in points of accuracy and in units of the distance; a row for each study."""
    rows = records_in(options.folder)
    print("| study | images | ratio | seeds | of | one training | a difference, a seed each | one seed | variances |")
    print("|---|---|---|---|---|---|---|---|---|")
    for (study, images, ratio), cell in rows.groupby(["study", "images", "ratio"], sort=False):
        for what, unit in (("accuracy", 100), ("distance", 1)):
            by_seed = unit * cell.pivot_table(index="seed", columns="configuration", values=what)
            alone = by_seed.var().mean()
            shared = mean((by_seed[a] - by_seed[b]).var() for a, b in combinations(by_seed, 2))
            print(
                f"| {study} | {images:,} | {ratio:g}× | {len(by_seed)} | {what} | {alone**0.5:.2g} "
                f"| {(2 * alone) ** 0.5:.2g} | {shared**0.5:.2g} | {shared / (2 * alone):.2f} |"
            )
    if options.parquet:
        options.parquet.parent.mkdir(parents=True, exist_ok=True)
        rows.to_parquet(options.parquet, index=False)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    verbs = parser.add_subparsers(required=True)
    runs = verbs.add_parser("run")
    runs.add_argument("study", type=Path)
    runs.add_argument("--images", type=int, required=True)
    runs.add_argument("--ratio", type=float, required=True)
    runs.add_argument("--folder", type=Path, required=True)
    runs.add_argument("--seeds", type=int, default=16)
    runs.add_argument("--cpus", type=int)
    runs.set_defaults(verb=run)
    tables = verbs.add_parser("table")
    tables.add_argument("folder", type=Path)
    tables.add_argument("--parquet", type=Path)
    tables.set_defaults(verb=table)
    options = parser.parse_args()
    options.verb(options)


if __name__ == "__main__":
    main()

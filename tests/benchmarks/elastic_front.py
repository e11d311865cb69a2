"""The elastic adapter of a study: its slices on the test split, and how well it ranks networks of equal size.

    RANKSEARCH_DATA=… python tests/benchmarks/elastic_front.py studies/resnet20-cifar10.toml -o FOLDER
        [--steps 2000] [--slices 1] [--lr 0.02] [--own 10] [--own-steps 300]

Trains the adapter once, then prints slices without any step of their own, test accuracy at 3, 4, 6 and 8× by both
counts. With --own K: K allocations at 4× (the first without noise, the others with log-weight noise 0.8), each
fine-tuned from its decomposition, and the Spearman correlation of their test accuracy with each cheap stage on the
search split. Killed, the same command goes on; raw records lie in FOLDER.
"""

import argparse
from dataclasses import replace
from pathlib import Path

import msgspec
import numpy as np
import pandas as pd
from curves import write_curves
from rich.console import Console
from scipy.stats import spearmanr
from torch import nn
from variants import variant

from ranksearch.allocation import DISTORTIONS, RateDistortion
from ranksearch.decomposition import Decomposition
from ranksearch.layers import Dense, Form, RankConfiguration, network_cost
from ranksearch.layers.configuration import as_tuple
from ranksearch.progressive import Elastic, attach, set_decay
from ranksearch.records import NO_DECAY, Measurement, Recipe
from ranksearch.records.recipe import AUGMENT, Augment
from ranksearch.runner.elastic_stage import elastic_stage, slice_measurement
from ranksearch.runner.founding import found_study
from ranksearch.runner.session import Session, open_session
from ranksearch.study import StudyFile, read_study
from ranksearch.subject.stage import Stage
from ranksearch.subject.trial import Plan, finished, measured, run_trial, untrained
from ranksearch.terminal.progress import duration

RATIOS = (3.0, 4.0, 6.0, 8.0)
OWN_RATIO, OWN_NOISE = 4.0, 0.8


class Row(msgspec.Struct, kw_only=True):
    """One configuration: what the cheap stages said, and what fine-tuning reached on the test split."""

    number: int
    configuration: RankConfiguration
    compression_ratio: float
    untrained: Measurement
    elastic: Measurement
    error_table: float
    tuned: Measurement
    seconds: float


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("study", type=Path)
    parser.add_argument("-o", "--output", type=Path, required=True)
    parser.add_argument("--steps", type=int, default=2000)
    parser.add_argument("--slices", type=int, default=1)
    parser.add_argument("--lr", type=float, default=0.02)
    parser.add_argument("--augment", choices=AUGMENT, default="flip", help="of the adapter")
    parser.add_argument("--own", type=int, default=0)
    parser.add_argument("--own-steps", type=int, default=300)
    parser.add_argument("--device")
    parser.add_argument("--figure", type=Path, help="HTML page of the slices' curves")
    parser.add_argument("--parquet", type=Path, help="the fine-tuned rows, as Parquet")
    return parser.parse_args()


def benchmark_study(options: argparse.Namespace) -> StudyFile:
    """The study with the adapter asked for, in a storage of its own."""
    adapter = {"steps": options.steps, "slices": options.slices, "lr": options.lr, "augment": options.augment}
    changes = {"schedule": {"shape": "none"}, "training": {"init": "elastic"}, "elastic": adapter}
    source = read_study(options.study)
    return variant(source, source.name, options.output, changes)


def on_test(
    session: Session,
    network: nn.Module,
    bases: dict[str, Decomposition],
    ranks: RankConfiguration,
    form: Form,
    augment: Augment = "all",
) -> Measurement:
    """A truncated network on the test split, batch norm re-estimated on images as it was trained on."""
    sliced = attach(network, bases, ranks)
    set_decay(sliced, NO_DECAY, 0.0)
    stage = test_stage(session)
    return measured(session.subject, stage, finished(session.subject, stage, sliced, form, augment))


def test_stage(session: Session) -> Stage:
    """Trained on *train* alone, measured on *test*."""
    return replace(session.subject.final_stage, train=session.subject.splits.train)


def print_slices(session: Session, elastic: Elastic) -> dict[str, dict[float, float]]:
    """The table of facts: no step of their own; test accuracies in % by ratio, as curves."""
    subject, ranks = session.subject, session.study.ranks
    curves: dict[str, dict[float, float]] = {}
    for form in ("pivoted", "plain"):
        rule = RateDistortion(subject.spec, session.tables, form, ranks.multiple_of, DISTORTIONS[ranks.distortion])
        for ratio in RATIOS:
            configuration = rule(ratio)
            found = on_test(session, elastic.network, dict(elastic.bases), configuration, form, elastic.augment)
            start = on_test(session, subject.network, dict(session.bases), configuration, form)
            true = network_cost(subject.spec, configuration, form).compression_ratio
            for name, measurement in (("elastic slice", found), ("untrained", start)):
                curves.setdefault(f"{name}, {form} count", {})[true] = 100 * measurement.accuracy
            print(
                f"{form:8} {true:5.2f}x  slice {found.accuracy:6.2%} (KL {found.distance:.3f})  "
                f"untrained {start.accuracy:6.2%}",
                flush=True,
            )
    return curves


def own_configuration(session: Session, number: int) -> RankConfiguration:
    """Allocation ``number`` at 4×: 0 without noise."""
    noise = OWN_NOISE * np.random.default_rng((1, number)).standard_normal(len(session.subject.spec.names))
    weights = dict(zip(session.subject.spec.names, (noise * (number > 0)).tolist(), strict=True))
    return session.variables.allocate(OWN_RATIO, weights, {})


def error_table(session: Session, configuration: RankConfiguration) -> float:
    """What the allocation sums: the losses of all layers at these ranks."""
    distortion, total = DISTORTIONS[session.study.ranks.distortion], 0.0
    for name, table in session.tables.items():
        if not isinstance(ranks := configuration[name], Dense):
            total += float(distortion(name, table)[tuple(r - 1 for r in as_tuple(ranks))])
    return total


def own_row(session: Session, elastic: Elastic, number: int, steps: int, folder: Path) -> Row:
    """Measures and fine-tunes one configuration; from its decomposition, whatever the study says."""
    subject, form = session.subject, session.form
    configuration = own_configuration(session, number)
    plan = Plan(configuration, NO_DECAY, Recipe(images=128 * steps, augment="flip"), seed=0, origin="benchmark")
    checkpoint = folder / f"own-{number}.checkpoint"
    _, record = run_trial(
        subject, session.bases, plan, form, stage=test_stage(session), checkpoint=checkpoint
    )  # fmt: skip
    checkpoint.unlink(missing_ok=True)
    return Row(
        number=number,
        configuration=configuration,
        compression_ratio=record.counted.compression_ratio,
        untrained=untrained(subject, session.bases, configuration, form)[1],
        elastic=slice_measurement(session, elastic, configuration),
        error_table=error_table(session, configuration),
        tuned=record.measured,
        seconds=record.cost.seconds,
    )


def own_rows(session: Session, elastic: Elastic, options: argparse.Namespace) -> list[Row]:
    """All of them, those of an earlier run read back."""
    path = options.output / f"own-{options.own_steps}-steps.jsonl"
    rows = [msgspec.json.decode(line, type=Row) for line in path.read_bytes().splitlines()] if path.exists() else []
    for number in range(len(rows), options.own):
        row = own_row(session, elastic, number, options.own_steps, options.output)
        with path.open("ab") as file:
            file.write(msgspec.json.encode(row) + b"\n")
        rows.append(row)
        print(
            f"own {number}: {row.compression_ratio:.2f}x, tuned {row.tuned.accuracy:.2%}, slice "
            f"{row.elastic.accuracy:.2%}, untrained {row.untrained.accuracy:.2%}, {duration(row.seconds)}",
            flush=True,
        )
    return rows[: options.own]


def print_correlations(rows: list[Row]) -> None:
    """Spearman's rho with the fine-tuned accuracy, and with its KL; all signed so that 1 is a perfect ranking."""
    far = 1e9  # a distance that is not finite ranks last
    stages = {
        "untrained accuracy": [r.untrained.accuracy for r in rows],
        "untrained KL": [-(r.untrained.distance if r.untrained.distance is not None else far) for r in rows],
        "elastic accuracy": [r.elastic.accuracy for r in rows],
        "elastic KL": [-(r.elastic.distance if r.elastic.distance is not None else far) for r in rows],
        "error table": [-r.error_table for r in rows],
    }
    accuracy = [r.tuned.accuracy for r in rows]
    closeness = [-(r.tuned.distance if r.tuned.distance is not None else far) for r in rows]
    print(f"Spearman rho over n = {len(rows)} at {OWN_RATIO:g}x, with the fine-tuned accuracy / its KL:")
    for name, values in stages.items():
        print(f"  {name:20} {spearmanr(values, accuracy)[0]:5.2f} / {spearmanr(values, closeness)[0]:5.2f}")


def main() -> None:
    options = arguments()
    options.output.mkdir(parents=True, exist_ok=True)
    session = open_session(benchmark_study(options), device=options.device)
    if not session.ledger.exists:
        found_study(session)
    elastic = elastic_stage(session, Console(width=160))
    record = session.ledger.elastic
    assert elastic is not None
    assert record is not None
    print(
        f"elastic adapter: {record.steps:,} steps, {record.slices} slices, {record.images:,} images, "
        f"{duration(record.seconds)} ({record.seconds / record.steps:.3f} s per step), {session.subject.machine}"
    )
    curves = print_slices(session, elastic)
    rows = own_rows(session, elastic, options)
    if rows:
        print_correlations(rows)
        tuned = f"{options.own_steps} steps of its own, {session.form} count"
        curves[tuned] = {rows[0].compression_ratio: 100 * rows[0].tuned.accuracy}
    if options.figure:
        write_curves(options.figure, "test accuracy, %", curves)
    if options.parquet:
        pd.json_normalize([msgspec.to_builtins(row) for row in rows]).to_parquet(options.parquet)


if __name__ == "__main__":
    main()

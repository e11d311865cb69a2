"""What each part of the search is worth: arms of one study, their hypervolume by trials, training images and seconds.

    python tests/benchmarks/efficiency.py run STUDY.toml --arms nsga2-20 tpe ours --trials 100 --seeds 5 --folder FOLDER
    python tests/benchmarks/efficiency.py table FOLDER --rival nsga2-20 --parquet FILE --figure PAGE.html

``run`` makes one study per arm, number of trials and seed, or resumes it; what a Parquet file in FOLDER holds is not
run again: copy the records of a report there to add seeds to them. All arms share the study file's network, splits,
box, count of parameters and training recipe; ``--images`` shortens the trials of all.
Seconds are of one core where the command is (``--cpus 1``, two side by side).
Whatever an arm needs before its first trial is counted: calibration, shared training, screen. ``table`` prints each
arm's hypervolume and what it took to reach what the rival has in the end.
"""

import argparse
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import optuna
import pandas as pd
from curves import line_of, write_page
from held import held, records_in
from rich.console import Console
from variants import variant

from ranksearch.decomposition import calibrate, network_bases
from ranksearch.front import trial_table
from ranksearch.layers import Basis
from ranksearch.records import StudyHistory
from ranksearch.report.canvas import canvas
from ranksearch.study import StudyFile, read_study
from ranksearch.subject.subject import Subject, study_subject
from ranksearch.subject.threads import use_cores
from ranksearch.verbs.search import search_study

RUN = ("study", "arm", "budget", "seed")  # what tells one run from another

Changes = Mapping[str, Mapping[str, Any]]

NO_SCREEN = {"share": 0.0, "stages": ()}

#: what somebody writes in an afternoon: an integer per mode, TensorLy's ``partial_tucker`` in every trial, then tuning
PLAIN: Changes = {
    "ranks": {"space": "direct", "basis": "weights"},
    "schedule": {"shape": "none"},
    "training": {"init": "hooi"},
    "screen": NO_SCREEN,
    "search": {"closed_form": 0},
}


def plain(**search: Any) -> Changes:
    return {**PLAIN, "search": {**PLAIN["search"], **search}}


#: arm → what it changes in the study file, by section
ARMS: dict[str, Changes] = {
    "nsga2-10": plain(sampler="nsga2", population=10),
    "nsga2-20": plain(sampler="nsga2", population=20),
    "nsga2-50": plain(sampler="nsga2", population=50),
    "tpe": plain(sampler="tpe"),
    "random": plain(sampler="random"),
    "ours": {},
    "kernel-bases": {"ranks": {"basis": "weights"}},
    "integers": {"ranks": {"space": "direct"}, "search": {"closed_form": 0}},
    "no-screen": {"screen": NO_SCREEN},
    "no-elastic": {"training": {"init": "decomposition"}},
    "decay": {"schedule": {"shape": ["none", "linear", "cosine"]}},  # what the shipped studies searched once
    "no-distillation": {"training": {"distillation": 0.0}},
    "early-stopping": {"search": {"stop": "neighbours"}},
    "closed-form": {"screen": NO_SCREEN, "training": {"init": "decomposition"}},  # and as many of it as trials
}


def arm_study(source: StudyFile, arm: str, trials: int, seed: int, images: int | None, folder: Path) -> StudyFile:
    """The study of one run."""
    own: dict[str, dict[str, Any]] = {"search": {"trials": trials, "seed": seed}}
    if arm == "closed-form":
        own["search"]["closed_form"] = trials
    if images:
        own["training"] = {"images": images}
    return variant(source, f"{source.name}-{arm}-{trials}-{seed}", folder, ARMS[arm], own)


def calibration(subject: Subject, basis: Basis) -> float:
    """Seconds that the bases of a network take, where no cache holds them."""
    began = time.perf_counter()
    if basis == "weights":
        network_bases(subject.network, subject.spec)
    else:
        covariances = calibrate(subject.network, subject.spec, subject.splits.train, basis)
        network_bases(subject.network, subject.spec, covariances)
    return time.perf_counter() - began


def rows_of(history: StudyHistory, name: str, arm: str, trials: int, seed: int, calibrated: float) -> pd.DataFrame:
    """One row per trial of the study file of that name; ``images`` and ``seconds`` are of all so far, what came before
    the first trial included, as is hypervolume."""
    table, elastic = trial_table(history), history.elastic
    decomposition = [t.record.cost.decomposition_seconds for t in history.ended() if t.record]
    return pd.DataFrame(
        {
            "study": name,
            "arm": arm,
            "budget": trials,
            "seed": seed,
            "trial": range(1, len(table) + 1),
            "origin": table["origin"],
            "accuracy": table["accuracy"],
            "compression_ratio": table["compression_ratio"],
            "compression_ratio_plain": table["compression_ratio_plain"],
            "hypervolume": table["hypervolume"],
            "images": table["images_total"] + (elastic.images if elastic else 0),
            "seconds": table["seconds_total"] + history.stage_seconds + calibrated,
            "decomposition_seconds": pd.Series(decomposition, dtype=float).cumsum() + calibrated,
            "machine": history.study.machine.processor,
            "precision": history.study.machine.precision,
        }
    )


def run(options: argparse.Namespace) -> None:
    """Every arm asked for, seed by seed, so that an interrupted run has all arms of the first seeds."""
    if options.cpus:
        use_cores(options.cpus)
    options.folder.mkdir(parents=True, exist_ok=True)
    source, calibrated = read_study(options.study), {}
    made = held(options.folder, RUN)
    for seed in range(options.first, options.first + options.seeds):
        for arm in options.arms:
            study = arm_study(source, arm, options.trials, seed, options.images, options.folder)
            if (source.name, arm, options.trials, seed) in made:
                continue
            basis = study.ranks.basis
            if basis not in calibrated:
                calibrated[basis] = calibration(study_subject(study), basis)
            history = search_study(study, console=Console(quiet=not options.verbose))
            rows = rows_of(history, source.name, arm, options.trials, seed, calibrated[basis])
            rows.to_parquet(options.folder / f"{study.name}.parquet")
            last = rows.iloc[-1]
            print(
                f"{study.name}: hypervolume {last['hypervolume']:.4f} after {last['images']:,} images, "
                f"{last['seconds']:.0f} s ({last['decomposition_seconds']:.0f} s of them decomposition)",
                flush=True,
            )


def reached(rows: pd.DataFrame, volume: float) -> pd.Series | None:
    """The trial after which a run had that hypervolume."""
    there = rows[rows["hypervolume"] >= volume]
    return None if there.empty else there.iloc[0]


def mean_and_spread(values: pd.Series, sign: str = "") -> str:
    """Mean, and standard deviation where there are several."""
    return f"{values.mean():{sign}.4f}" + (f" ± {values.std():.4f}" if len(values) > 1 else "")


def print_table(every: pd.DataFrame, rival: str) -> None:
    """Hypervolume in the end, its difference from ours seed by seed, what it cost, and what the rival's took: medians
    over the seeds."""
    print(
        "| study | arm | trials | seeds | hypervolume | less ours, paired | images | seconds | of them decomposition | "
        "rival's hypervolume after trials | images, of the rival's | seconds, of the rival's |\n|" + "---|" * 12
    )
    for study, of_study in every.groupby("study"):
        longest = of_study[of_study["arm"] == rival]["budget"].max()
        rivals = of_study[(of_study["arm"] == rival) & (of_study["budget"] == longest)]
        ends = rivals.sort_values("trial").groupby("seed").last()
        volume = ends["hypervolume"].mean()
        for (arm, budget), rows in of_study.groupby(["arm", "budget"], sort=False):
            last = rows.sort_values("trial").groupby("seed").last()
            there = [reached(one.sort_values("trial"), volume) for _, one in rows.groupby("seed")]
            found = pd.DataFrame([row for row in there if row is not None])
            told = f"{len(found)} of {len(there)} seeds reached it | |"
            if len(found) == len(there):
                images, seconds = (found[unit].median() / ends[unit].median() for unit in ("images", "seconds"))
                told = f"{found['trial'].median():.0f} | {images:.3f} | {seconds:.3f}"
            ours = of_study[(of_study["arm"] == "ours") & (of_study["budget"] == budget)].sort_values("trial")
            paired = (last["hypervolume"] - ours.groupby("seed")["hypervolume"].last()).dropna()
            less = "" if arm == "ours" or paired.empty else mean_and_spread(paired, "+")
            print(
                f"| {study} | {arm} | {budget} | {len(last)} | {mean_and_spread(last['hypervolume'])} | {less} | "
                f"{last['images'].median():,.0f} | {last['seconds'].median():,.0f} | "
                f"{last['decomposition_seconds'].median():,.0f} | {told} |"
            )


def show(options: argparse.Namespace) -> None:
    """The table, the raw records in one file, the picture: medians over the seeds, trial by trial."""
    order = {arm: place for place, arm in enumerate(ARMS)}
    every = records_in(options.folder)
    every["place"] = every["arm"].map(order)
    every = every.sort_values(["study", "place", "budget", "seed", "trial"]).drop(columns="place")
    print_table(every, options.rival)
    if options.parquet:
        options.parquet.parent.mkdir(parents=True, exist_ok=True)
        every.to_parquet(options.parquet, index=False)
    if options.figure:
        write_curves_by_study(options.figure, every[every["arm"].isin(options.draw or ARMS)], options.over)


def write_curves_by_study(path: Path, every: pd.DataFrame, over: str) -> None:
    """A page with one panel per study and one curve per arm: its most trials, medians over the seeds."""
    titles = {"images": "training images", "seconds": "seconds of one core", "trial": "trials"}
    figure, studies = canvas("", ""), list(dict.fromkeys(every["study"]))
    axis = figure.layout.xaxis.to_plotly_json()
    figure.set_subplots(1, len(studies), subplot_titles=studies, horizontal_spacing=0.05)
    figure.update_xaxes(axis | {"type": "log", "title": axis["title"] | {"text": titles[over]}})
    figure.update_yaxes(axis | {"rangemode": "tozero", "title": axis["title"] | {"text": ""}})
    figure.update_yaxes(title_text="hypervolume", col=1)
    figure.update_layout(margin={"t": 40})
    places = {arm: place for place, arm in enumerate(dict.fromkeys(every["arm"]))}
    for (study, arm), rows in every.groupby(["study", "arm"], sort=False):
        middle = rows[rows["budget"] == rows["budget"].max()].groupby("trial").median(numeric_only=True)
        shown = not any(trace.name == arm for trace in figure.data)
        figure.add_scatter(
            x=middle.index if over == "trial" else middle[over], y=middle["hypervolume"], name=arm, legendgroup=arm,
            showlegend=shown, mode="lines", line=line_of(places[arm]) | {"shape": "hv"}, row=1,
            col=1 + studies.index(study),
        )  # fmt: skip
    write_page(path, figure)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(required=True)
    runs = commands.add_parser("run")
    runs.add_argument("study", type=Path)
    runs.add_argument("--arms", nargs="+", choices=ARMS, required=True, metavar="ARM", help=", ".join(ARMS))
    runs.add_argument("--trials", type=int, default=100)
    runs.add_argument("--seeds", type=int, default=5)
    runs.add_argument("--first", type=int, default=0, help="seed")
    runs.add_argument("--images", type=int, help="of one trial, instead of the study file's")
    runs.add_argument("--folder", type=Path, required=True)
    runs.add_argument("--cpus", type=int)
    runs.add_argument("--verbose", action="store_true")
    runs.set_defaults(does=run)
    tables = commands.add_parser("table")
    tables.add_argument("folder", type=Path)
    tables.add_argument("--rival", choices=ARMS, required=True, metavar="ARM")
    tables.add_argument("--parquet", type=Path)
    tables.add_argument("--figure", type=Path)
    tables.add_argument("--draw", nargs="+", choices=ARMS, metavar="ARM", help="in the figure; all unless given")
    tables.add_argument("--over", choices=["images", "seconds", "trial"], default="images", help="of the figure")
    tables.set_defaults(does=show)
    options = parser.parse_args()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    options.does(options)


if __name__ == "__main__":
    main()

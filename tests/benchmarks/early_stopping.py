"""Does stopping trials early pay? Each rule replayed on the recorded curves of a study, and live beside "none".

    python tests/benchmarks/early_stopping.py replay STUDY.toml …          # studies that have run with stop = "none"
    python tests/benchmarks/early_stopping.py live STUDY.toml --seeds 3 --trials 40 --folder FOLDER

A replay goes through the trials in order, stops each where the rule would have, and says what was saved (training
images) and what was lost (hypervolume in the study's box, points of the front). It cannot say what a sampler would
have done with the saving: that is what the live runs are for, which are compared at equal training images. Live
studies stay in FOLDER and are resumed by the same command.
"""

import argparse
from pathlib import Path

import msgspec
import numpy as np
import optuna
from rich.console import Console
from variants import variant

from ranksearch.front import trial_table
from ranksearch.records import StudyHistory, Trial
from ranksearch.study import read_history, read_study
from ranksearch.study.stopping import STOPPING, Curve, is_hopeless
from ranksearch.verbs.search import search_study


def replay(history: StudyHistory, rule: str) -> dict[str, float]:
    """What the rule would have done to this study."""
    seen: list[Curve] = []
    kept: list[Trial] = []
    images = 0
    for trial in sorted(history.finished(), key=lambda t: t.number):
        assert trial.record
        own, spent = Curve.of(trial.record), trial.record.cost.images
        for at in sorted(own.accuracy):
            partial = Curve(own.log2_ratio, {m: a for m, a in own.accuracy.items() if m <= at})
            if is_hopeless(rule, partial, seen):
                own, spent = Curve(own.log2_ratio, {m: a for m, a in partial.accuracy.items() if m < at}), at
                break
        else:
            kept.append(trial)
        seen.append(own)
        images += spent
    whole, left = trial_table(history), trial_table(msgspec.structs.replace(history, trials=tuple(kept)))
    front = {t.number for t in history.front()}
    return {
        "stopped": 1 - len(kept) / len(whole),
        "images": images / whole["images"].sum(),
        "hypervolume": left["hypervolume"].iloc[-1] / whole["hypervolume"].iloc[-1],
        "front": len(front & {t.number for t in kept}) / len(front),
    }


def live(path: Path, rule: str, seed: int, trials: int, folder: Path) -> StudyHistory:
    """One study under a rule and a seed, run or resumed; without the screen, which takes a share of the seconds."""
    source = read_study(path)
    search = {"seed": seed, "stop": rule, "trials": trials}
    changes = {"search": search, "screen": {"share": 0.0, "stages": ()}}
    study = variant(source, f"{source.name}-{rule}-{seed}", folder, changes)
    return search_study(study, console=Console(quiet=True))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("how", choices=["replay", "live"])
    parser.add_argument("studies", nargs="+", type=Path)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--trials", type=int, default=40)
    parser.add_argument("--folder", type=Path, default=Path("early-stopping"))
    given = parser.parse_args()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    if given.how == "replay":
        print("| study | rule | trials stopped | images | hypervolume kept | front kept |\n|---|---|---|---|---|---|")
        for path in given.studies:
            history = read_history(read_study(path))
            for rule in STOPPING:
                found = replay(history, rule)
                print(f"| {history.study.name} | {rule} | " + " | ".join(f"{v:.1%}" for v in found.values()) + " |")
        return
    given.folder.mkdir(parents=True, exist_ok=True)
    print(
        "| study | rule | seed | trials | stopped | images | hypervolume at equal images |\n"
        "|---|---|---|---|---|---|---|"
    )
    for path in given.studies:
        for seed in range(given.seeds):
            # Every rule gets the images that "none" spends on its trials, and as many trials as fit into them.
            full = trial_table(live(path, "none", seed, given.trials, given.folder))
            budget = int(full["images"].sum())
            for rule in STOPPING:
                trials = given.trials
                while True:
                    history = live(path, rule, seed, trials, given.folder)
                    done = [t for t in history.trials if t.record and t.record.copy_of is None]
                    spent = np.cumsum([t.record.cost.images for t in done if t.record])
                    if spent[-1] >= budget or rule == "none":
                        break
                    trials += max(1, int((budget - spent[-1]) / (spent[-1] / len(done))))
                within = {t.number for t, images in zip(done, spent, strict=True) if images <= budget}
                kept = tuple(t for t in history.trials if t.number in within and t.state == "complete")
                stopped = sum(t.state == "stopped" for t in done)
                volume = trial_table(msgspec.structs.replace(history, trials=kept))["hypervolume"].iloc[-1]
                print(
                    f"| {path.stem} | {rule} | {seed} | {len(within)} | {stopped} | {budget:,} | {volume:.4f} |",
                    flush=True,
                )


if __name__ == "__main__":
    main()

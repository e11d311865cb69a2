"""Full-length fine-tuning of chosen configurations, several seeds, beside a dense control with equal epochs.

Selection is over: training uses train + search, as the literature does, and the test split is read
once per finished run. Never a best epoch: the last one counts.
"""

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import msgspec

from ..export import save_compressed
from ..layers import Dense, RankConfiguration
from ..records import NO_DECAY, RankFile, Recipe, TrialRecord, require_fit
from .session import Session
from .subject import Subject
from .trial import Plan, run_trial

CONTROL = "dense control"


def plans(
    subject: Subject, files: Mapping[str, RankFile], *, epochs: int, seeds: int, changes: Mapping[str, float | str]
) -> Iterator[tuple[Plan, RankFile | None]]:
    """Every file with every seed, then the dense control with every seed and recipe that occurs.

    Args:
        files: rank files by the name they are reported under.
        epochs: over train + search.
        seeds: runs per configuration.
        changes: entries of ``[finetune]`` that replace those of the file's recipe (``lr``, ``init``, …).
    """
    images = epochs * len(subject.final_stage.train)
    controls: dict[Recipe, None] = {}
    for name, ranks in files.items():
        require_fit(ranks.configuration, subject.spec, name)
        recipe = msgspec.structs.replace(ranks.recipe, images=images, **changes)
        controls[msgspec.structs.replace(recipe, learn="all", init="decomposition")] = None
        schedule = ranks.schedule
        if recipe.init == "elastic":  # what starts trained cannot start at zero
            schedule = msgspec.structs.replace(schedule, fade="residual")
        for seed in range(seeds):
            origin = f"finalist {name}" + (" (HOOI)" if recipe.init == "hooi" else "")
            yield Plan(ranks.configuration, schedule, recipe, seed, origin), ranks
    dense = RankConfiguration({name: Dense(CONTROL) for name in subject.spec.names})
    for recipe in controls:
        for seed in range(seeds):
            yield Plan(dense, NO_DECAY, recipe, seed, CONTROL), None


def finetune(
    session: Session,
    files: Mapping[str, RankFile],
    *,
    epochs: int,
    seeds: int,
    changes: Mapping[str, float | str],
    folder: Path,
    on_step: Callable[[Plan, int, int], None] | None = None,
) -> list[TrialRecord]:
    """Trains all runs that are not finished yet and records them in the study's finalists.

    Writes ``folder/KEY.checkpoint`` after each epoch, which the same call resumes from, and for each
    compressed network ``folder/KEY.safetensors``, which is the measured one.

    Raises:
        StudyFileError: before any training: a file starts from the elastic adapter, and the study has none.
    """
    subject, records = session.subject, []
    todo = list(plans(subject, files, epochs=epochs, seeds=seeds, changes=changes))  # refuses before training any
    for plan, _ in todo:
        session.start(plan.recipe.init)
    finished = session.ledger.history().finished("finalists")
    earlier = {f"{r.key}-{r.seed}": r for r in (t.record for t in finished) if r}
    folder.mkdir(parents=True, exist_ok=True)
    for plan, ranks in todo:
        run = f"{plan.key}-{plan.seed}"
        record = earlier.get(run)
        if record is None:
            checkpoint = folder / f"{run}.checkpoint"
            network, bases = session.start(plan.recipe.init)
            compressed, record = run_trial(
                subject,
                bases,
                plan,
                session.form,
                network=network,
                stage=subject.final_stage,
                checkpoint=checkpoint,
                on_step=(lambda done, of, plan=plan: on_step(plan, done, of)) if on_step else None,  # type: ignore[misc]
            )
            if ranks is not None and compressed is not None:
                measured = msgspec.structs.replace(
                    ranks, measured=record.measured, recipe=plan.recipe, form=session.form
                )
                save_compressed(compressed, measured, folder / f"{run}.safetensors")
            session.ledger.add("finalists", record)
            checkpoint.unlink(missing_ok=True)
            earlier[run] = record
        records.append(record)
    return records

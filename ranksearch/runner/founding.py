"""The first minute of a study: a first front in closed form, the seconds of a trial, then the study is made."""

import time
from collections.abc import Callable, Iterator, Mapping

import msgspec
import numpy as np
import torch
from rich.console import Console
from torch import nn

from ..allocation import ALLOCATORS
from ..decomposition import Decomposition
from ..errors import BudgetError, NonFiniteError
from ..layers import Dense, RankConfiguration
from ..networks.determinism import isolated_generators
from ..pareto import farthest_first
from ..progressive import FLOAT32, attach, fine_tune
from ..records import ClosedFormPoint, Measurement, StudyRecord
from ..records.recipe import Augment
from ..study import Ledger, Planned, StudyFile, open_storage, settings
from ..subject.subject import Subject
from ..subject.trial import untrained, useless
from ..terminal.tables import closed_form_line, layers_table, left_dense_table
from .session import METHOD_VERSION, Session, open_session, store_bases, store_dense

FIRST_FRONT = 6  # closed-form allocations that are measured untrained in the first minute
BASELINE_RATIOS = 4  # ratios of every baseline that takes one
PROBE_STEPS = 4  # timed to estimate the seconds of a trial
DRAWN = 8  # search images on which the dense network is run twice
NORM_LOSS = 0.01  # of the dense accuracy, above which re-estimated statistics are told not to fit
SILENT = Console(quiet=True)


def join_study(
    study: StudyFile,
    *,
    device: str | None = None,
    subject: Callable[[str | None], Subject] | None = None,
    console: Console = SILENT,
) -> Session:
    """Comes to a study: makes it, or waits for the process that does, or finds it made; shows the first minute.

    Raises:
        StudyChangedError, BudgetError, DenseAccuracyError, …: as :func:`open_session`, with the remedy.
    """
    ledger = Ledger(open_storage(study.storage_url), study.name)

    def found() -> Session | None:
        ledger.require_free()
        session = open_session(study, device=device, subject=subject, ledger=ledger)
        introduce(session, console)
        console.print(layers_table(session.subject.spec, session.form))
        if session.subject.spec.left_dense:
            console.print(left_dense_table(session.subject.spec))
        console.print("A first front in closed form, untrained, batch norm re-estimated:")
        record = found_study(session, lambda point: console.print(closed_form_line(point)))
        for sentence in record.protocol:
            console.print(f"  {sentence}", soft_wrap=True)
        return session if record.id == session.id else None

    def waits() -> None:
        console.print(f"{study.name}: waiting for the process that makes the study")

    session = ledger.once("founding", lambda: ledger.exists, found, on_wait=waits)
    if session is None:
        session = open_session(study, device=device, subject=subject, ledger=ledger)
        introduce(session, console)
        console.print(f"resumed: {ledger.counts().finished} trials finished before")
    return session


def introduce(session: Session, console: Console) -> None:
    """One line on the dense network and the machine."""
    subject = session.subject
    console.print(
        f"{session.study.name}: dense network {subject.dense.accuracy:.2%} on {len(subject.splits.search):,} search "
        f"images, {subject.spec.params:,} parameters, {subject.spec.macs:,} MACs; {subject.machine.device}, "
        f"{subject.machine.threads} threads, {subject.precision.name}",
        soft_wrap=True,
    )


def found_study(session: Session, on_point: Callable[[ClosedFormPoint], None] | None = None) -> StudyRecord:
    """Makes the study: measures the closed form, shares the bases, writes the record, queues its allocations as the
    first trials. To be called in a turn (:meth:`Ledger.once`) where others may do the same."""
    began = time.perf_counter()
    points = []
    for point in closed_form(session):
        points.append(point)
        if on_point:
            on_point(point)
    seconds_per_point = (time.perf_counter() - began) / len(points)
    if session.ledger.exists:  # it was frozen meanwhile, and another took its turn
        return session.ledger.record
    study, subject = session.study, session.subject
    record = StudyRecord(
        name=study.name,
        id=session.id,
        network=subject.spec,
        form=study.ranks.form,
        objectives=study.search.objectives,
        dense=subject.dense,
        ratio=study.ranks.ratio,
        accuracy_floor=study.ranks.accuracy_floor,
        floors={str(name): floor for name, floor in study.search.floors.items()},
        settings=settings(study),
        fingerprint=session.fingerprint,
        dense_outputs=subject.sample_outputs,
        dense_loss=subject.sample_loss,
        bases=store_bases(session.bases, session.artifacts),
        dense_file=store_dense(subject, session.artifacts),
        splits={
            "train": len(subject.splits.train),
            "search": len(subject.splits.search),
            "test": len(subject.splits.test) if subject.splits.test else 0,
        },
        protocol=tuple(
            filter(None, (*subject.splits.protocol, subject.task.said, *drawn(session), *lost_by_norms(session)))
        ),
        closed_form=tuple(points),
        machine=subject.machine,
        seconds_per_trial=seconds_of_trial(session, points[len(points) // 2], seconds_per_point),
        method_version=METHOD_VERSION,
    )

    def fill(ledger: Ledger) -> None:
        number = study.search.closed_form
        seeds = session.variables.seeds(ratios(session, number))
        for place in farthest_first(range(number), number, number // 2):  # a search that ends soon has seen all sizes
            ledger.enqueue(seeds[place], "closed form")

    session.ledger.create(record, fill)
    return session.ledger.record


def lost_by_norms(session: Session) -> Iterator[str]:
    """What is to be said where the dense network itself does not survive what every candidate undergoes."""
    subject = session.subject
    dense = RankConfiguration({name: Dense("as it is") for name in subject.spec.names})
    found = untrained_measurement(session, subject.network, session.bases, dense)
    if (lost := subject.dense.accuracy - found.accuracy) > NORM_LOSS:
        yield (
            f"The dense network itself loses {100 * lost:.1f} points as its normalisation statistics are re-estimated "
            f"on {subject.reestimate:,} training images, and every compressed one bears that: name in data.augment "
            "what it was trained with, or raise data.reestimate."
        )


def drawn(session: Session) -> Iterator[str]:
    """What is to be said of a network that draws as it is measured, too."""
    subject = session.subject
    images, _ = next(subject.splits.search.batches(min(DRAWN, len(subject.splits.search)), device=subject.device))
    with isolated_generators(subject.device), torch.no_grad():
        once, again = (FLOAT32.outputs(subject.network, images.clone()) for _ in range(2))
    if not torch.allclose(once, again, rtol=1e-3, atol=1e-3 * float(once.abs().max())):
        yield (
            "Two passes of the dense network over the same images differ: dropout or noise in evaluation? It is "
            "measured with draws that are always the same."
        )


def ratios(session: Session, number: int) -> list[float]:
    """``number`` compression ratios over the study's box, equally spaced in log2."""
    return [float(r) for r in np.geomspace(*session.study.ranks.ratio, number)]


def closed_form(session: Session) -> Iterator[ClosedFormPoint]:
    """Rate–distortion allocations over the study's range, untrained, each measured in about a second."""
    for ratio in ratios(session, FIRST_FRONT):
        configuration = session.variables.allocate(ratio, {}, {})
        measured = untrained_measurement(session, session.subject.network, session.bases, configuration)
        yield ClosedFormPoint(f"rate-distortion@{ratio:.2f}", configuration, session.ratio(configuration), measured)


def untrained_measurement(
    session: Session,
    network: nn.Module,
    bases: Mapping[str, Decomposition],
    configuration: RankConfiguration,
    augment: Augment = "all",
) -> Measurement:
    """A configuration without a step of its own, on the search split: about a second."""
    try:
        return untrained(session.subject, bases, configuration, session.form, network, augment)[1]
    except NonFiniteError:
        return useless(session.subject.search_stage)


def seconds_of_trial(session: Session, point: ClosedFormPoint, seconds_per_point: float) -> float:
    """An estimate from a few real steps and from what measuring took."""
    schedule, recipe = session.variables.default_training()
    subject = session.subject
    few = msgspec.structs.replace(recipe, images=recipe.batch * PROBE_STEPS, lr=1e-6)  # a rate that cannot diverge
    network = attach(subject.network, session.bases, point.configuration)
    trained = fine_tune(
        network,
        subject.splits.train,
        few,
        schedule,
        task=subject.task,
        teacher=subject.teacher,
        precision=subject.precision,
        device=subject.device,
    )
    return trained.seconds_per_step * recipe.steps + 2 * seconds_per_point  # milestones are measured too


def enqueue_baselines(session: Session) -> list[str]:
    """Queues the study file's baselines that are not there yet, in one process at a time; each that takes a ratio at
    several over the range.

    Returns:
        What was left out, and why: a ratio that a baseline cannot reach.
    """
    ledger, (plans, left_out) = session.ledger, baselines(session)
    schedule, recipe = session.variables.default_training()
    recipe = msgspec.structs.replace(recipe, init="decomposition")  # what others have is no adapter trained for us

    def missing() -> dict[str, RankConfiguration]:
        there = {origin for origin, _ in ledger.plans("baselines").values()}
        return {origin: configuration for origin, configuration in plans.items() if origin not in there}

    def work() -> None:
        for origin, configuration in missing().items():
            ledger.enqueue_plan("baselines", Planned(configuration, schedule, recipe), origin)

    ledger.once("queueing", lambda: not missing(), work)
    return left_out


def baselines(session: Session) -> tuple[dict[str, RankConfiguration], list[str]]:
    """The baselines by their origin, and what is left out."""
    plans, left_out = {}, []
    for name in session.study.search.baselines:
        allocator = ALLOCATORS[name]
        for ratio in ratios(session, BASELINE_RATIOS) if allocator.takes_ratio else [None]:
            origin = f"baseline {name}" + (f"@{ratio:.2f}" if ratio else "")
            try:
                plans[origin] = allocator(
                    session.subject.spec,
                    session.tables,
                    ratio,
                    form=session.form,
                    multiple_of=session.study.ranks.multiple_of,
                )
            except BudgetError as error:
                left_out.append(f"{origin}: {error}")
    return plans, left_out

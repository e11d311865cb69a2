"""The first minute of a study: a first front in closed form, the seconds of a trial, then the study is made."""

import time
from collections.abc import Callable, Iterator, Mapping

import msgspec
import numpy as np
from torch import nn

from ..allocation import ALLOCATORS
from ..decomposition import Decomposition
from ..errors import BudgetError, NonFiniteError
from ..layers import RankConfiguration, network_cost
from ..progressive import attach, fine_tune
from ..records import ClosedFormPoint, Measurement, StudyRecord
from ..study import Ledger, settings
from .session import METHOD_VERSION, Session
from .trial import untrained, useless

SEED_RATIOS = 6  # closed-form allocations that are measured untrained, and enqueued as the first trials
BASELINE_RATIOS = 4  # ratios of every baseline that takes one
PROBE_STEPS = 4  # timed to estimate the seconds of a trial


def found_study(session: Session, on_point: Callable[[ClosedFormPoint], None] | None = None) -> StudyRecord:
    """Makes the study: measures the closed form, writes the record, queues its allocations as the first trials."""
    began = time.perf_counter()
    points = []
    for point in closed_form(session):
        points.append(point)
        if on_point:
            on_point(point)
    seconds_per_point = (time.perf_counter() - began) / len(points)
    study, subject = session.study, session.subject
    record = StudyRecord(
        name=study.name,
        network=subject.spec,
        form=study.ranks.form,
        objectives=study.search.objectives,
        dense=subject.dense,
        ratio=study.ranks.ratio,
        accuracy_floor=study.ranks.accuracy_floor,
        settings=settings(study),
        fingerprint=session.fingerprint,
        dense_outputs=subject.sample_outputs,
        splits={
            "train": len(subject.splits.train),
            "search": len(subject.splits.search),
            "test": len(subject.splits.test) if subject.splits.test else 0,
        },
        protocol=subject.splits.protocol,
        closed_form=tuple(points),
        machine=subject.machine,
        seconds_per_trial=seconds_of_trial(session, points[len(points) // 2], seconds_per_point),
        method_version=METHOD_VERSION,
    )

    def fill(ledger: Ledger) -> None:
        for values in session.variables.seeds(ratios(session, SEED_RATIOS)):
            ledger.enqueue(values, "closed form")

    session.ledger.create(record, fill)
    return session.ledger.record


def ratios(session: Session, number: int) -> list[float]:
    """``number`` compression ratios over the study's box, equally spaced in log2."""
    return [float(r) for r in np.geomspace(*session.study.ranks.ratio, number)]


def closed_form(session: Session) -> Iterator[ClosedFormPoint]:
    """Rate–distortion allocations over the study's range, untrained, each measured in about a second."""
    for ratio in ratios(session, SEED_RATIOS):
        configuration = session.variables.allocate(ratio, {}, {})
        measured = untrained_measurement(session, session.subject.network, session.bases, configuration)
        cost = network_cost(session.subject.spec, configuration, session.form)
        yield ClosedFormPoint(f"rate-distortion@{ratio:.2f}", configuration, cost.compression_ratio, measured)


def untrained_measurement(
    session: Session, network: nn.Module, bases: Mapping[str, Decomposition], configuration: RankConfiguration
) -> Measurement:
    """A configuration without a step of its own, on the search split: about a second."""
    try:
        return untrained(session.subject, bases, configuration, session.form, network)[1]
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
        teacher=subject.network,
        precision=subject.precision,
        device=subject.device,
    )
    return trained.seconds_per_step * recipe.steps + 2 * seconds_per_point  # milestones are measured too


def enqueue_baselines(session: Session) -> list[str]:
    """Queues the study file's baselines that are not there yet, each that takes a ratio at several over the range.

    Returns:
        What was left out, and why: a ratio that a baseline cannot reach.
    """
    schedule, recipe = session.variables.default_training()
    recipe = msgspec.structs.replace(recipe, init="decomposition")  # what others have is no adapter trained for us
    left_out = []
    for name in session.study.search.baselines:
        allocator = ALLOCATORS[name]
        for ratio in ratios(session, BASELINE_RATIOS) if allocator.takes_ratio else [None]:
            origin = f"baseline {name}" + (f"@{ratio:.2f}" if ratio else "")
            try:
                configuration = allocator(
                    session.subject.spec,
                    session.tables,
                    ratio,
                    form=session.form,
                    multiple_of=session.study.ranks.multiple_of,
                )
            except BudgetError as error:
                left_out.append(f"{origin}: {error}")
            else:
                session.ledger.enqueue_plan(configuration, schedule, recipe, origin)
    return left_out

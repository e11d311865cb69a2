"""One trial: attach adapters, fine-tune progressively, collapse, re-estimate batch norm, measure."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from torch import nn

from ..decomposition import Decomposition
from ..errors import NonFiniteError
from ..layers import Form, RankConfiguration, network_cost
from ..progressive import FineTuned, attach, collapse, fine_tune, measure, reestimate_batch_norm, set_decay
from ..records import NO_DECAY, DecaySchedule, Measurement, Recipe, TrainingCost, TrialRecord
from .subject import Stage, Subject

MILESTONES = (0.25, 0.5, 0.75)  # fractions of a trial's steps
MILESTONE_IMAGES = 1000  # of the search split; half as many re-estimate batch norm: a curve, not a decision


@dataclass(frozen=True)
class Plan:
    """What one trial is to do: ranks, decay schedule, training recipe; who proposed it; its training seed."""

    configuration: RankConfiguration
    schedule: DecaySchedule
    recipe: Recipe
    seed: int
    origin: str = "sampler"


def run_trial(
    subject: Subject,
    bases: Mapping[str, Decomposition],
    plan: Plan,
    form: Form,
    *,
    stage: Stage | None = None,
    checkpoint: Path | None = None,
    on_step: Callable[[int, int], None] | None = None,
) -> tuple[nn.Module | None, TrialRecord]:
    """Runs ``plan`` to the end.

    Args:
        stage: the subject's search stage unless told otherwise; milestones are measured there only.
        checkpoint: written after each epoch and resumed from; the caller removes it once the result is safe.
        on_step: called with (steps done, steps in all).

    Returns:
        The measured network, collapsed (``None`` where training or its outputs became non-finite), and its record.
    """
    stage = stage or subject.search_stage
    began = time.perf_counter()
    network = attach(subject.network, bases, plan.configuration, plan.schedule.canonical().fade)
    attached = time.perf_counter()
    trained, compressed, failure = FineTuned(), None, ""
    result = useless(stage)
    try:
        trained = fine_tune(
            network,
            stage.train,
            plan.recipe,
            plan.schedule,
            task=subject.task,
            teacher=subject.network,
            seed=plan.seed,
            precision=subject.precision,
            device=subject.device,
            milestones=MILESTONES if stage.split == "search" else (),
            on_milestone=lambda partly: milestone_accuracy(subject, stage, partly),
            checkpoint=checkpoint,
            on_step=on_step,
        )
        compressed = finished(subject, stage, network, form)
        result = measured(subject, stage, compressed)
    except NonFiniteError as error:
        compressed, failure = None, str(error)
    seconds = time.perf_counter() - began
    return compressed, TrialRecord(
        configuration=plan.configuration,
        schedule=plan.schedule.canonical(),
        recipe=plan.recipe,
        form=form,
        plain=network_cost(subject.spec, plan.configuration, "plain"),
        pivoted=network_cost(subject.spec, plan.configuration, "pivoted"),
        measured=result,
        milestones=trained.milestones,
        cost=TrainingCost(
            images=plan.recipe.images,
            seconds=seconds,
            decomposition_seconds=attached - began,
            training_seconds=trained.seconds,
            measuring_seconds=max(0.0, seconds - trained.seconds - (attached - began)),
            seconds_per_step=trained.seconds_per_step,
            trainable_params=trained.trainable_params,
            peak_memory=trained.peak_memory,
        ),
        machine=subject.machine,
        seed=plan.seed,
        origin=plan.origin,
        failure=failure,
    )


def useless(stage: Stage) -> Measurement:
    """What counts as measured where a network's loss or outputs are infinite or NaN."""
    return Measurement(0.0, None, stage.split, len(stage.measured))


def untrained(
    subject: Subject, bases: Mapping[str, Decomposition], configuration: RankConfiguration, form: Form
) -> tuple[nn.Module, Measurement]:
    """The truncated network as it is, batch norm re-estimated, and its measurement: about a second."""
    stage = subject.search_stage
    network = attach(subject.network, bases, configuration)
    set_decay(network, NO_DECAY, progress=0.0)
    network = finished(subject, stage, network, form)
    return network, measured(subject, stage, network)


def milestone_accuracy(subject: Subject, stage: Stage, network: nn.Module) -> float:
    """A quick look at a network in training: in the plain form, which computes the same and runs faster."""
    few = stage.sample(MILESTONE_IMAGES)
    quick = replace(subject, reestimate=MILESTONE_IMAGES // 2)
    return measured(quick, few, finished(quick, few, network, "plain")).accuracy


def finished(subject: Subject, stage: Stage, network: nn.Module, form: Form) -> nn.Module:
    """The network as it is exported: collapsed, batch norm re-estimated on training images."""
    return reestimate_batch_norm(
        collapse(network, form), stage.train, subject.reestimate, precision=stage.precision, device=subject.device
    )


def measured(subject: Subject, stage: Stage, network: nn.Module) -> Measurement:
    """Accuracy on the stage's split and distance from the dense network's outputs there."""
    return measure(
        network,
        stage.measured,
        dense_outputs=stage.dense_outputs,
        task=subject.task,
        split=stage.split,
        precision=stage.precision,
        device=subject.device,
    )

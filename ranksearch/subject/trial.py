"""One trial: attach adapters, fine-tune progressively, collapse, re-estimate batch norm, measure."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from torch import nn

from ..decomposition import Decomposition
from ..errors import NonFiniteError
from ..layers import Form, RankConfiguration, network_cost
from ..progressive import FineTuned, Progress, attach, collapse, fine_tune, measure, reestimate_batch_norm, set_decay
from ..records import (
    NO_DECAY,
    CheapStage,
    DecaySchedule,
    LatencyComparison,
    Measurement,
    Milestone,
    Recipe,
    TrainingCost,
    TrialRecord,
    run_name,
    trial_key,
)
from ..records.recipe import Augment
from ..study import Stopped
from .stage import Stage
from .subject import Subject

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

    @property
    def key(self) -> str:
        """Names what it measures, whatever the seed."""
        return trial_key(self.configuration, self.schedule, self.recipe)

    @property
    def run(self) -> str:
        """Names the run, seed included."""
        return run_name(self.key, self.seed)


def run_trial(
    subject: Subject,
    bases: Mapping[str, Decomposition],
    plan: Plan,
    form: Form,
    *,
    network: nn.Module | None = None,
    stage: Stage | None = None,
    checkpoint: Path | None = None,
    on_step: Callable[[int, int], None] | None = None,
    hopeless: Callable[[Sequence[Milestone]], str] = lambda milestones: "",
    looks: Mapping[CheapStage, Callable[[RankConfiguration], Measurement]] | None = None,
    timed: Callable[[nn.Module], LatencyComparison] | None = None,
) -> tuple[nn.Module | None, TrialRecord]:
    """Runs ``plan`` to the end, or until it turns out hopeless.

    Args:
        bases: what the adapters start from; see :meth:`Session.start`.
        network: what they are attached to, the subject's unless told otherwise; the subject's teacher answers anyway.
        stage: the subject's search stage unless told otherwise; milestones are measured there only.
        checkpoint: written after each epoch and resumed from; the caller removes it once the result is safe.
        on_step: called with (steps done, steps in all).
        hopeless: given the milestones so far, at each with an accuracy; why to stop there, or nothing.
        timed: how the measured network's latency is found, where it counts.
        looks: cheap stages whose word on the same ranks is recorded beside what training reached.

    Returns:
        The measured network, collapsed (``None`` where training or its outputs became non-finite, or where it was
        stopped), and its record.
    """
    stage = stage or subject.search_stage
    began = time.perf_counter()
    network = attach(network or subject.network, bases, plan.configuration, plan.schedule.canonical().fade)
    attached = time.perf_counter()
    progress, compressed, failure, stopped = Progress(), None, "", ""
    result = useless(stage)

    def stepped(done: int, of: int) -> None:
        if on_step:
            on_step(done, of)
        last = progress.milestones[-1] if progress.milestones else None
        looked = last and last.accuracy is not None and last.images == done * plan.recipe.batch
        if looked and done < of and (reason := hopeless(progress.milestones)):
            raise Stopped(reason)

    try:
        fine_tune(
            network,
            stage.train,
            plan.recipe,
            plan.schedule,
            task=subject.task,
            teacher=subject.teacher,
            seed=plan.seed,
            precision=subject.precision,
            device=subject.device,
            milestones=MILESTONES if stage.split == "search" else (),
            on_milestone=lambda partly: milestone_accuracy(subject, stage, partly, plan.recipe.augment),
            checkpoint=checkpoint,
            on_step=stepped,
            progress=progress,
        )
        compressed = finished(subject, stage, network, form, plan.recipe.augment)
        result = measured(subject, stage, compressed)
    except NonFiniteError as error:
        compressed, failure = None, str(error)
    except Stopped as error:
        stopped, looked = str(error), len(stage.sample(MILESTONE_IMAGES).measured)
        result = Measurement(progress.milestones[-1].accuracy or 0.0, None, stage.split, looked)
    latency = timed(compressed) if timed and compressed is not None else None
    trained = FineTuned.of(progress)
    stages: dict[str, Measurement] = {stage: look(plan.configuration) for stage, look in (looks or {}).items()}
    seconds = time.perf_counter() - began + progress.earlier
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
            images=min(plan.recipe.images, progress.step * plan.recipe.batch),
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
        stopped=stopped,
        latency=latency,
        stages=stages,
    )


def useless(stage: Stage) -> Measurement:
    """What counts as measured where a network's loss or outputs are infinite or NaN."""
    return Measurement(0.0, None, stage.split, len(stage.measured))


def untrained(
    subject: Subject,
    bases: Mapping[str, Decomposition],
    configuration: RankConfiguration,
    form: Form,
    network: nn.Module | None = None,
    augment: Augment = "all",
) -> tuple[nn.Module, Measurement]:
    """The truncated network as it is, batch norm re-estimated, and its measurement: about a second.

    With ``network``, ``bases`` and ``augment`` of an elastic adapter, its slice without any step of its own.
    """
    stage = subject.search_stage
    network = attach(network or subject.network, bases, configuration)
    set_decay(network, NO_DECAY, progress=0.0)
    network = finished(subject, stage, network, form, augment)
    return network, measured(subject, stage, network)


def milestone_accuracy(subject: Subject, stage: Stage, network: nn.Module, augment: Augment) -> float:
    """A quick look at a network in training: in the plain form, which computes the same and runs faster."""
    few = replace(stage.sample(MILESTONE_IMAGES), reestimate=MILESTONE_IMAGES // 2)
    return measured(subject, few, finished(subject, few, network, "plain", augment)).accuracy


def finished(subject: Subject, stage: Stage, network: nn.Module, form: Form, augment: Augment = "all") -> nn.Module:
    """The network as it is exported: collapsed, batch norm re-estimated on images as it was trained on."""
    return reestimate_batch_norm(
        collapse(network, form),
        stage.train,
        stage.reestimate,
        augment=augment,
        precision=stage.precision,
        device=subject.device,
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

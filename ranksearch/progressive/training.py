"""Fine-tuning: of a network with progressive layers while they decay, of a dense one, or from scratch."""

import math
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec
import torch
from torch import Tensor, nn

from ..errors import NonFiniteError
from ..networks import Examples
from ..networks.determinism import isolated_generators, repeatable_kernels, seed_generators
from ..records import NO_DECAY, DecaySchedule, Milestone, Recipe
from .learning import learning_parameters, learning_rate, make_optimizer, only_learning
from .peak_memory import PeakMemory
from .precision import FLOAT32, Precision
from .surgery import set_decay
from .task import CLASSIFICATION, Task
from .teacher import Shown, Teacher
from .training_state import Progress, load_state, save_state

LOOK_EVERY = 25  # steps between two looks at the losses: a look waits for the device

#: (network, step) → once for each pass of that step, the network set up for it; gradients of the passes are summed
Passes = Callable[[nn.Module, int], Iterable[None]]


def one_pass(network: nn.Module, step: int) -> Iterable[None]:
    """The network as it is, once per step."""
    return (None,)


@dataclass(frozen=True)
class FineTuned:
    """What a fine-tuning was, or was until it ended early.

    Attributes:
        milestones: one for every step that the fractions asked for come to, in order; fractions that round to the
            same step share one.
        seconds: of training, over all its processes; milestones and checkpoints are not counted.
        seconds_per_step: their mean.
        trainable_params: number of weights that learn.
        peak_memory: MiB; see :class:`~.peak_memory.PeakMemory` for what that is.
    """

    milestones: tuple[Milestone, ...] = ()
    seconds: float = 0.0
    seconds_per_step: float = 0.0
    trainable_params: int = 0
    peak_memory: float = 0.0

    @classmethod
    def of(cls, progress: Progress) -> "FineTuned":
        """From how far it has come."""
        return cls(
            tuple(progress.milestones),
            progress.seconds,
            progress.seconds / max(1, progress.step),
            progress.trainable_params,
            progress.peak_memory,
        )


def fine_tune(
    network: nn.Module,
    train: Examples,
    recipe: Recipe,
    schedule: DecaySchedule = NO_DECAY,
    *,
    task: Task = CLASSIFICATION,
    teacher: Teacher | None = None,
    seed: int = 0,
    precision: Precision = FLOAT32,
    device: torch.device | str = "cpu",
    passes: Passes = one_pass,
    settings: Mapping[str, str] | None = None,
    milestones: Sequence[float] = (),
    on_milestone: Callable[[nn.Module], float | None] | None = None,
    checkpoint: Path | None = None,
    checkpoint_every: int | None = None,
    on_step: Callable[[int, int], None] | None = None,
    progress: Progress | None = None,
) -> FineTuned:
    """Trains ``network`` itself, to λ = 0. Equal arguments give equal weights on one machine with as many threads; on a
    GPU as far as the network's own kernels do: cuDNN's are held to it, not those torch lists as nondeterministic.

    Where nothing learns, as in a network that stays dense with ``learn = "adapters"``, it is left as it is, in no step.

    Args:
        teacher: the dense network to distil from; without one, the task's loss alone.
        seed: of the order of images, of their augmentation, and of what the network draws (dropout).
        passes: what runs in a step, on the same images; the teacher is asked once. Must follow from the step alone.
        settings: what else makes this run this run, of ``passes``, say; a checkpoint with other ones is refused.
        milestones: fractions of the steps, in (0, 1].
        on_milestone: called with the network at those milestones where λ = 0 everywhere; returns its accuracy on
            the search split. Must leave the network as it is.
        checkpoint: written after each epoch and at the end; where it exists at the start, the run goes on from it.
        checkpoint_every: steps between two checkpoints, in the place of an epoch.
        on_step: called with (steps done, steps in all) after each step; what it raises ends the run.
        progress: a new one, kept up to date: what is left of a run that an exception ends.

    Raises:
        NonFiniteError: a loss or a weight became infinite or NaN.
        NetworkError: the output is not one tensor.
        WeightsError, StudyChangedError: the checkpoint is corrupt, or of another run.
    """
    device = torch.device(device)
    steps, epoch = recipe.steps, checkpoint_every or max(1, len(train) // recipe.batch)
    looks = {max(1, round(fraction * steps)) for fraction in milestones}
    precision.place(network, device)
    shown = Shown(train, recipe, seed)
    parameters = learning_parameters(network, recipe.learn)
    if not parameters:
        return FineTuned()
    optimizer = make_optimizer(parameters, recipe)
    trainable = sum(p.numel() for p in parameters)
    run = {
        "recipe": msgspec.json.encode(recipe).decode(),
        "schedule": msgspec.json.encode(schedule.canonical()).decode(),
        "seed": str(seed),
        "precision": precision.name,
        "training data": train.fingerprint,
        "trainable weights": str(trainable),
    } | dict(settings or {})
    progress = Progress() if progress is None else progress
    if checkpoint is not None and checkpoint.exists():
        vars(progress).update(vars(load_state(checkpoint, run, network, optimizer)))
        progress.earlier = progress.seconds
    progress.trainable_params = trainable
    losses: list[Tensor] = []

    with isolated_generators(device), repeatable_kernels(), only_learning(network, parameters):
        memory = PeakMemory(device)
        batches = train.batches(
            recipe.batch,
            seed=seed,
            start=progress.step,
            steps=steps - progress.step,
            augment=recipe.augment,
            device=device,
        )
        clock = time.perf_counter()
        for step, (inputs, targets) in enumerate(batches, progress.step):
            set_decay(network, schedule, step / steps)
            for group in optimizer.param_groups:
                group["lr"] = learning_rate(recipe, step)
            seed_generators(device, seed, step)
            asked = teacher if recipe.distillation else None
            truth = asked.answer(inputs, shown.run, shown.batch(step, inputs)) if asked else None
            seed_generators(device, seed, step)  # a teacher that draws does so only where its answer is not known
            of_step: list[Tensor] = []
            for _ in passes(network, step):
                loss = _loss(precision.outputs(network, inputs), truth, targets, recipe, task)
                if not losses:
                    memory.look()
                loss.backward()
                of_step.append(loss.detach())
            for parameter in parameters:  # of layers that no pass of this step used; a fused step wants them all
                if parameter.grad is None:
                    parameter.grad = torch.zeros_like(parameter)
            nn.utils.clip_grad_norm_(parameters, recipe.clip)
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
            losses.append(torch.stack(of_step).mean())

            progress.step = step + 1
            at_epoch = checkpoint is not None and (progress.step % epoch == 0 or progress.step == steps)
            if len(losses) == LOOK_EVERY or progress.step in looks or at_epoch or progress.step == steps:
                try:
                    _book(losses, progress, recipe)
                finally:  # where a loss is not finite, too
                    memory.look()
                    progress.peak_memory = max(progress.peak_memory, memory.mebibytes)
                    progress.seconds += time.perf_counter() - clock
                if progress.step in looks:
                    decay = set_decay(network, schedule, progress.step / steps)
                    accuracy = on_milestone(network) if on_milestone is not None and decay == 0 else None
                    progress.pass_milestone(recipe.batch, decay, accuracy)
                if checkpoint is not None and at_epoch:
                    save_state(checkpoint, run, progress, network, optimizer)
                clock = time.perf_counter()
            if on_step is not None:
                on_step(progress.step, steps)
    set_decay(network, schedule, 1.0)
    if not all(bool(parameter.isfinite().all()) for parameter in parameters):
        raise NonFiniteError(
            f"a weight is infinite or NaN after the last of {steps} steps: {_remedy(recipe, steps - 1)}"
        )
    return FineTuned.of(progress)


def _loss(outputs: Tensor, truth: Tensor | None, targets: Tensor, recipe: Recipe, task: Task) -> Tensor:
    """(1 − d)·loss + d·divergence from the teacher's answer."""
    if truth is None:
        return task.loss(outputs, targets)
    loss = recipe.distillation * task.distil(outputs, truth, recipe.temperature)
    return loss if recipe.distillation == 1 else loss + (1 - recipe.distillation) * task.loss(outputs, targets)


def _book(losses: list[Tensor], progress: Progress, recipe: Recipe) -> None:
    """Moves the losses since the last look into ``progress``, finite as they are."""
    values = torch.stack(losses).tolist()
    losses.clear()
    for step, value in enumerate(values, progress.step - len(values)):
        if not math.isfinite(value):
            raise NonFiniteError(
                f"the training loss is {value} at step {step + 1} of {recipe.steps}: {_remedy(recipe, step)}"
            )
    progress.loss_sum += sum(values)
    progress.losses += len(values)


def _remedy(recipe: Recipe, step: int) -> str:
    return f"the rate was {learning_rate(recipe, step):.3g}; lower training.lr ({recipe.lr:g}) or training.clip"

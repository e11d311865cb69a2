"""Fine-tuning learns, is repeatable, resumes exactly, and tells when it breaks down."""

import copy
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import msgspec
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ranksearch.decomposition import NestedBases
from ranksearch.errors import NonFiniteError, StudyChangedError
from ranksearch.layers import RankConfiguration, Tucker2
from ranksearch.networks import Examples
from ranksearch.progressive import (
    FineTuned,
    Precision,
    Progress,
    Task,
    Teacher,
    attach,
    collapse,
    fine_tune,
    measure,
    predict,
    progressive_layers,
    reestimate_batch_norm,
    set_decay,
)
from ranksearch.records import NO_DECAY, SCHEDULES, DecaySchedule, Recipe
from ranksearch.records.schedule import FADES, ORDERS

RECIPE = Recipe(images=8 * 32, batch=32, lr=0.05, distillation=0.5)
SCHEDULE = DecaySchedule(shape="linear", end=0.5)
BFLOAT16 = Precision.parse("bfloat16/channels-last")


@pytest.fixture
def attached(
    network: nn.Module, bases: dict[str, NestedBases], configuration: RankConfiguration
) -> Callable[..., nn.Module]:
    """() → a fresh progressive network; ("full") → with full fade."""

    def made(fade: str = "residual") -> nn.Module:
        return attach(network, bases, configuration, fade)  # type: ignore[arg-type]

    return made


def largest_decay(network: nn.Module) -> float:
    return max(layer.decay for layer in progressive_layers(network).values())


def equal(a: nn.Module, b: nn.Module) -> bool:
    return all(torch.equal(x, y) for x, y in zip(a.state_dict().values(), b.state_dict().values(), strict=True))


@pytest.mark.parametrize("shape", SCHEDULES)
@pytest.mark.parametrize("fade", FADES)
@pytest.mark.parametrize("order", ORDERS)
def test_every_schedule_trains(
    network: nn.Module, attached: Callable, train: Examples, shape: str, fade: str, order: str
) -> None:
    schedule = DecaySchedule(shape=shape, fade=fade, order=order, end=0.7).canonical()  # type: ignore[arg-type]
    progressive = attached(schedule.fade)
    looks: list[float] = []
    recipe = msgspec.structs.replace(RECIPE, images=6 * 32)
    done = fine_tune(
        progressive, train, recipe, schedule, teacher=Teacher(network), milestones=(0.5, 1.0),
        on_milestone=lambda partly: looks.append(largest_decay(partly)) or 0.5,
    )  # fmt: skip
    halfway, final = done.milestones
    assert (halfway.images, final.images) == (96, 192)
    assert halfway.decay == max(schedule.decay(0.5, depth) for depth in (0, 1 / 3, 2 / 3, 1))
    assert (final.decay, final.accuracy) == (0.0, 0.5)
    assert (halfway.accuracy is None) == (halfway.decay > 0) == (shape != "none")
    assert set(looks) == {0.0}  # called only when nothing is left of the residuals
    assert 0 < final.loss < 10
    collapsed = collapse(progressive, "pivoted")
    torch.testing.assert_close(predict(collapsed, train), predict(progressive, train), rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("optimizer", ["sgd", "adamw"])
@pytest.mark.parametrize("chosen", [Precision(), BFLOAT16], ids=lambda p: p.name)
def test_learns(network: nn.Module, attached: Callable, train: Examples, optimizer: str, chosen: Precision) -> None:
    recipe = Recipe(
        images=60 * 32, batch=32, optimizer=optimizer, lr=0.01 if optimizer == "adamw" else 0.1, learn="all"
    )  # type: ignore[arg-type]
    progressive = attached()
    done = fine_tune(progressive, train, recipe, SCHEDULE, precision=chosen, milestones=(0.1, 1.0))
    assert done.milestones[-1].loss < 0.7 * done.milestones[0].loss
    compressed = reestimate_batch_norm(collapse(progressive, "plain"), train, 96, precision=chosen)
    assert measure(compressed, train, precision=chosen).accuracy > 0.9


def test_trains_a_dense_network_from_scratch(network: nn.Module, train: Examples) -> None:
    before = measure(network, train).accuracy
    done = fine_tune(network, train, Recipe(images=60 * 32, batch=32, lr=0.1, learn="all"))
    assert measure(network, train).accuracy > max(0.9, before)
    assert done.milestones == ()
    assert done.trainable_params == sum(p.numel() for p in network.parameters())


def test_distillation_alone_approaches_the_teacher_and_leaves_it(
    network: nn.Module, bases: dict[str, NestedBases], train: Examples
) -> None:
    with torch.no_grad():
        network.head.weight.mul_(100)  # an untrained network hardly tells one image from another
    network = reestimate_batch_norm(network, train, 96)
    teacher, outputs = copy.deepcopy(network).train(), predict(network, train)
    progressive = attach(network, bases, RankConfiguration({"body": Tucker2(2, 2)}))
    set_decay(progressive, NO_DECAY, 0.0)

    def distance() -> float:
        compressed = reestimate_batch_norm(collapse(progressive, "plain"), train, 96)
        return measure(compressed, train, dense_outputs=outputs).distance

    start = distance()
    fine_tune(
        progressive, train, Recipe(images=60 * 32, batch=32, distillation=1.0), NO_DECAY, teacher=Teacher(teacher)
    )
    assert distance() < 0.5 * start
    assert equal(teacher, network)
    assert teacher.training
    assert all(p.requires_grad and p.grad is None for p in teacher.parameters())


def test_distillation_mixes_the_two_losses(network: nn.Module, train: Examples) -> None:
    task = Task(lambda o, t: o.sum() * 0 + 2.0, lambda o, t: 0.0, lambda o, d: 0.0, lambda o, d, t: o.sum() * 0 + t)
    recipe = Recipe(images=64, batch=32, distillation=0.25, temperature=6.0, learn="all")
    for teacher, expected in ((Teacher(network), 0.25 * 6 + 0.75 * 2), (None, 2.0)):
        done = fine_tune(copy.deepcopy(network), train, recipe, task=task, teacher=teacher, milestones=(1.0,))
        assert done.milestones[0].loss == pytest.approx(expected)


@pytest.mark.parametrize("learn", ["adapters", "adapters+norm", "all"])
def test_only_what_learns_moves_and_never_the_residual(attached: Callable, train: Examples, learn: str) -> None:
    progressive = attached()
    before = {name: tensor.clone() for name, tensor in progressive.state_dict().items()}
    done = fine_tune(progressive, train, msgspec.structs.replace(RECIPE, learn=learn), SCHEDULE)
    moved = {name for name, tensor in progressive.state_dict().items() if not torch.equal(tensor, before[name])}
    statistics = {"norm.running_mean", "norm.running_var", "norm.num_batches_tracked"}
    adapters = {name for name in before if name.rpartition(".")[2] in ("core", "factor_out", "factor_in")}
    others = {name for name in before if name.endswith("bias") or name == "norm.weight"}
    assert moved == adapters | statistics | (others if learn != "adapters" else set())
    assert done.trainable_params == sum(before[name].numel() for name in moved - statistics)


@pytest.mark.parametrize("chosen", [Precision(), BFLOAT16], ids=lambda p: p.name)
def test_equal_seeds_give_equal_weights_and_leave_the_generators(
    attached: Callable, train: Examples, generators: Callable[[], tuple], chosen: Precision
) -> None:
    runs = []
    for seed in (1, 1, 2):
        stood = generators()
        network = attached()
        fine_tune(network, train, RECIPE, SCHEDULE, seed=seed, precision=chosen)
        assert generators() == stood
        torch.rand(1)  # the second run starts from another state of the global generator
        runs.append(network)
    assert equal(runs[0], runs[1])
    assert not equal(runs[0], runs[2])


class Killed(Exception):
    pass


@pytest.mark.parametrize("optimizer", ["sgd", "adamw"])
@pytest.mark.parametrize("chosen", [Precision(), BFLOAT16], ids=lambda p: p.name)
@pytest.mark.parametrize("killed_at", [2, 3, 7, 10])
def test_a_killed_run_resumes_bit_for_bit(
    network: nn.Module,
    attached: Callable,
    train: Examples,
    tmp_path: Path,
    optimizer: str,
    chosen: Precision,
    killed_at: int,
) -> None:
    recipe = Recipe(images=10 * 32, batch=32, optimizer=optimizer, lr=0.01)  # type: ignore[arg-type]
    steps: list[int] = []

    def run(partly: nn.Module, kill: int | None, checkpoint: Path | None) -> FineTuned:
        def on_step(done: int, of: int) -> None:
            steps.append(done)
            if done == kill:
                raise Killed

        return fine_tune(
            partly, train, recipe, SCHEDULE, teacher=Teacher(network, chosen), seed=5, precision=chosen,
            milestones=(0.25, 0.5, 0.85), on_milestone=lambda partly: 0.5, checkpoint=checkpoint, on_step=on_step,
        )  # fmt: skip

    whole, again, path = attached(), attached(), tmp_path / "run.checkpoint"
    expected = run(whole, None, None)
    with pytest.raises(Killed):
        run(attached(), killed_at, path)
    steps.clear()
    resumed = run(again, None, path)
    assert steps == list(range(killed_at // 3 * 3 + 1 if killed_at < 10 else 11, 11))  # epochs of 96 images: 3 steps
    assert equal(whole, again)
    assert resumed.milestones == expected.milestones
    assert equal(collapse(whole, "plain"), collapse(again, "plain"))


def test_checkpoints_come_as_often_as_asked_and_belong_to_their_settings(
    attached: Callable, train: Examples, tmp_path: Path
) -> None:
    path, seen = tmp_path / "c", []

    def on_step(done: int, of: int) -> None:
        seen.append(torch.load(path, weights_only=True)["progress"]["step"] if path.exists() else 0)

    given = {"checkpoint": path, "checkpoint_every": 3}
    fine_tune(attached(), train, RECIPE, SCHEDULE, settings={"slices": "2"}, on_step=on_step, **given)
    assert seen == [0, 0, 3, 3, 3, 6, 6, 8]
    with pytest.raises(StudyChangedError, match="slices was 2, is 3"):
        fine_tune(attached(), train, RECIPE, SCHEDULE, settings={"slices": "3"}, **given)


def test_several_passes_ask_the_teacher_once_and_sum_their_gradients(
    network: nn.Module, attached: Callable, train: Examples
) -> None:
    asked: list[int] = []
    teacher = Teacher(network)
    teacher.network.head.register_forward_hook(lambda *_: asked.append(1))
    recipe = msgspec.structs.replace(RECIPE, images=2 * 32, clip=1e9, weight_decay=0.0, learn="adapters", momentum=0.0)
    moves, start = [], attached()
    for passes, lr in ((2, 1e-4), (1, 2e-4)):
        student = attached()
        student.drop.p = 0.0
        looks = fine_tune(
            student, train, msgspec.structs.replace(recipe, lr=lr), NO_DECAY, teacher=teacher, milestones=(1.0,),
            passes=lambda network, step, passes=passes: [None] * passes,
        ).milestones  # fmt: skip
        moves.append([a - b for a, b in zip(student.parameters(), start.parameters(), strict=True)])
    assert len(looks) == 1
    assert len(asked) == 2  # once a step, and not by the second run
    for twice, once in zip(*moves, strict=True):
        torch.testing.assert_close(twice, once, rtol=0.05, atol=1e-6)


def test_where_nothing_learns_nothing_is_done(network: nn.Module, train: Examples) -> None:
    before = copy.deepcopy(network)
    assert fine_tune(network, train, msgspec.structs.replace(RECIPE, learn="adapters")) == FineTuned()
    assert equal(network, before)


def test_a_finished_run_is_read_not_run(attached: Callable, train: Examples, tmp_path: Path) -> None:
    first, second = attached(), attached()
    done = fine_tune(first, train, RECIPE, SCHEDULE, checkpoint=tmp_path / "c", milestones=(1.0,))
    steps: list[int] = []
    again = fine_tune(
        second, train, RECIPE, SCHEDULE, checkpoint=tmp_path / "c", on_step=lambda done, of: steps.append(done)
    )
    assert steps == []
    assert again == done
    assert equal(first, second)
    with pytest.raises(StudyChangedError, match="recipe was"):
        fine_tune(attached(), train, msgspec.structs.replace(RECIPE, lr=0.06), SCHEDULE, checkpoint=tmp_path / "c")


def test_non_finite_loss_names_step_loss_and_rate(attached: Callable, train: Examples, tmp_path: Path) -> None:
    calls = iter(range(100))
    task = Task.of(lambda o, t: F.cross_entropy(o, t) * (float("nan") if next(calls) == 4 else 1.0))
    progressive = attached()
    with pytest.raises(
        NonFiniteError, match=r"training loss is nan at step 5 of 8: the rate was 0\.0\d+; lower training\.lr"
    ):
        fine_tune(progressive, train, RECIPE, SCHEDULE, task=task, checkpoint=tmp_path / "c")
    assert all(p.requires_grad for p in progressive.parameters())


@pytest.mark.parametrize("ends", ["a loss that is not finite", "a callback"])
def test_of_a_run_that_ends_early_its_progress_is_left(ends: str, attached: Callable, train: Examples) -> None:
    calls, progress = iter(range(100)), Progress()
    task = Task.of(lambda o, t: F.cross_entropy(o, t) * (float("nan") if next(calls) == 6 else 1.0))

    def on_step(done: int, of: int) -> None:
        if ends == "a callback" and done == 6:
            raise InterruptedError

    with pytest.raises((NonFiniteError, InterruptedError)):
        fine_tune(
            attached(), train, RECIPE, SCHEDULE, task=task, milestones=(0.25, 0.75), on_milestone=lambda _: 0.5,
            on_step=on_step, progress=progress,
        )  # fmt: skip
    left = FineTuned.of(progress)
    assert [(m.images, m.accuracy) for m in left.milestones] == [(64, None), (192, 0.5)]
    assert left.seconds > 0
    assert left.seconds_per_step == left.seconds / progress.step
    assert left.trainable_params > 0


def test_weights_that_break_down_at_the_last_step_are_told(attached: Callable, train: Examples) -> None:
    task = Task.of(lambda o, t: (o - o.detach()).abs().sqrt().sum())  # zero, with an infinite gradient
    recipe = msgspec.structs.replace(RECIPE, images=32)
    with pytest.raises(NonFiniteError, match="a weight is infinite or NaN after the last of 1 steps"):
        fine_tune(attached(), train, recipe, SCHEDULE, task=task)


@pytest.mark.parametrize("part", ["all", "flip", "none"])
def test_the_recipe_says_how_much_of_the_augmentation_is_used(part: str, attached: Callable, train: Examples) -> None:
    runs = []
    for data, augment in ((train, part), (replace(train, augmentation=train.augmentation.part(part)), "all")):
        runs.append(attached())
        fine_tune(runs[-1], data, msgspec.structs.replace(RECIPE, augment=augment), SCHEDULE)
    assert equal(*runs)
    whole = attached()
    fine_tune(whole, train, RECIPE, SCHEDULE)
    assert equal(whole, runs[0]) == (part == "all")


def test_gradients_are_clipped(attached: Callable, train: Examples) -> None:
    start, runs = attached(), []
    for clip in (1e-6, 5.0):
        network = attached()
        fine_tune(network, train, msgspec.structs.replace(RECIPE, clip=clip, weight_decay=0.0), SCHEDULE)
        runs.append(max((a - b).abs().max() for a, b in zip(network.parameters(), start.parameters(), strict=True)))
    assert runs[0] < 1e-5 < runs[1]


def test_flags_modes_and_gradients_are_the_callers_again(attached: Callable, train: Examples) -> None:
    progressive = attached().eval()
    fine_tune(progressive, train, RECIPE, SCHEDULE)
    assert not any(module.training for module in progressive.modules())
    assert all(p.requires_grad and p.grad is None for p in progressive.parameters())
    assert all(layer.decay == 0 for layer in progressive_layers(progressive).values())


def test_costs_are_told(attached: Callable, train: Examples) -> None:
    done = fine_tune(attached(), train, RECIPE, SCHEDULE)
    assert done.seconds_per_step == pytest.approx(done.seconds / 8)
    assert done.seconds > 0
    assert done.peak_memory >= 0


def test_own_loss_on_float_targets(train: Examples) -> None:
    images = next(train.batches(96))[0]
    data = type(train).of(images, images.mean((1, 2, 3)))  # type: ignore[attr-defined]
    network = nn.Sequential(nn.Flatten(), nn.Linear(192, 8), nn.ReLU(), nn.Linear(8, 1), nn.Flatten(0))

    def error(outputs: Tensor, targets: Tensor) -> float:
        return float((outputs - targets).abs().mean())

    task = Task.of(F.mse_loss, error, "minimize", (0.0, 1.0))
    before = measure(network, data, task=task).accuracy
    fine_tune(network, data, Recipe(images=64 * 32, batch=32, lr=0.02, learn="all"), task=task)
    assert measure(network, data, task=task).accuracy > before

"""The teacher answers once to what several runs are shown, and never with the answer to something else."""

import copy
from collections.abc import Callable

import msgspec
import pytest
import torch
from torch import Tensor, nn
from torch.utils.data import Dataset

from ranksearch.layers import RankConfiguration
from ranksearch.networks import Examples, Streamed
from ranksearch.progressive import Teacher, attach, fine_tune, teacher
from ranksearch.progressive.teacher import Shown
from ranksearch.records import Recipe

RECIPE = Recipe(images=4 * 32, batch=32, lr=0.05, distillation=0.5)


class Own(Dataset):
    """A user's data set; its transform draws from a generator that nobody seeds."""

    def __init__(self) -> None:
        self.generator = torch.Generator().manual_seed(7)
        self.shaken = True

    def __len__(self) -> int:
        return 64

    def __getitem__(self, row: int) -> tuple[Tensor, int]:
        noise = torch.randn(3, 8, 8, generator=self.generator) if self.shaken else torch.zeros(3, 8, 8)
        return torch.full((3, 8, 8), row / 64) + noise, row % 4


@pytest.fixture
def asked(network: nn.Module) -> tuple[Teacher, list[int]]:
    """A teacher, and the size of every batch that its network was asked."""
    sizes: list[int] = []
    made = Teacher(network)
    made.network.register_forward_hook(lambda module, inputs, outputs: sizes.append(len(outputs)))
    return made, sizes


@pytest.fixture
def student(network: nn.Module, bases: dict, configuration: RankConfiguration) -> Callable:
    return lambda: attach(network, bases, configuration)


def test_a_second_run_asks_nothing_and_learns_the_same(
    asked: tuple[Teacher, list[int]], student: Callable, train: Examples, network: nn.Module
) -> None:
    shared, sizes = asked
    first, second, alone = student(), student(), student()
    for learner, of in ((first, shared), (second, shared), (alone, Teacher(network))):
        fine_tune(learner, train, RECIPE, teacher=of, seed=3)
    assert sizes == [32] * 4
    for a, b, c in zip(first.parameters(), second.parameters(), alone.parameters(), strict=True):
        assert torch.equal(a, b)
        assert torch.equal(a, c)
    fine_tune(student(), train, msgspec.structs.replace(RECIPE, distillation=0.0), teacher=shared, seed=4)
    assert len(sizes) == 4
    fine_tune(student(), train, msgspec.structs.replace(RECIPE, images=6 * 32), teacher=shared, seed=3)
    assert len(sizes) == 6  # a longer run goes on from there


class Draws(nn.Module):
    """Noise in evaluation mode, too."""

    def forward(self, x: Tensor) -> Tensor:
        return nn.functional.dropout(x, 0.2, training=True)


def test_a_teacher_that_draws_leaves_the_student_its_draws(network: nn.Module, train: Examples) -> None:
    network = nn.Sequential(Draws(), network)
    shared, learners = Teacher(network), [copy.deepcopy(network) for _ in range(2)]
    for learner in learners:  # the second one's answers are remembered
        fine_tune(learner, train, RECIPE, teacher=shared, seed=3)
    for first, second in zip(*(learner.parameters() for learner in learners), strict=True):
        assert torch.equal(first, second)


def test_what_changes_the_images_is_asked_anew(
    asked: tuple[Teacher, list[int]], student: Callable, train: Examples
) -> None:
    shared, sizes = asked
    fewer = train.subset(range(90))
    changes: list[tuple[Examples, dict, int]] = [
        (train, {}, 0), (train, {}, 1), (train, {"augment": "flip"}, 0), (train, {"batch": 16}, 0), (fewer, {}, 0),
    ]  # fmt: skip
    for data, changed, seed in changes:
        recipe = msgspec.structs.replace(RECIPE, **changed)
        before = len(sizes)
        for _ in range(2):
            fine_tune(student(), data, recipe, teacher=shared, seed=seed)
        assert len(sizes) == before + recipe.steps


@pytest.mark.parametrize("shaken", [True, False])
def test_a_users_data_set_is_looked_at(network: nn.Module, asked: tuple[Teacher, list[int]], shaken: bool) -> None:
    shared, sizes = asked
    data = Own()
    data.shaken = shaken
    train = Streamed.of(data)
    for _ in range(2):
        shown = Shown(train, RECIPE, seed=0)
        for step, (inputs, _targets) in enumerate(train.batches(32, seed=0, steps=3)):
            with torch.no_grad():
                answer = shared.answer(inputs, shown.run, shown.batch(step, inputs))
                assert torch.equal(answer, network(inputs))
    assert len(sizes) == (6 if shaken else 3)


def test_any_number_tells_small_batches_apart() -> None:
    shown, inputs = Shown(Streamed.of(Own()), RECIPE, seed=0), torch.zeros(4, 3, 8, 8)
    names = {shown.batch(0, inputs)}
    for place in range(inputs.numel()):
        other = inputs.clone()
        other.flatten()[place] = 1.0
        names.add(shown.batch(0, other))
    assert len(names) == 1 + inputs.numel()


def test_no_more_is_kept_than_there_is_room_for(
    asked: tuple[Teacher, list[int]], monkeypatch: pytest.MonkeyPatch
) -> None:
    shared, sizes = asked
    monkeypatch.setattr(teacher, "ROOM", 3 * 8 * 4 * 4)  # three answers of 8 images, 4 classes, 4 bytes
    inputs = torch.randn(8, 3, 8, 8, generator=torch.Generator().manual_seed(0))

    def asked_for(run: str, *batches: int) -> int:
        before = len(sizes)
        for batch in batches:
            assert shared.answer(inputs, run, batch).shape == (8, 4)
        return len(sizes) - before

    assert asked_for("long", 0, 1, 2, 3, 4) == 5
    assert asked_for("long", 0, 1, 2, 3, 4) == 2  # its own do not make way: the next run would find none of them
    assert asked_for("other", 0, 1) == 2
    assert asked_for("other", 0, 1) == 0
    assert asked_for("long", 0) == 1  # which made way for the other's
    monkeypatch.setattr(teacher, "ROOM", 1)
    assert asked_for("large", 0, 0) == 2

import re
from typing import Any, get_args

import msgspec
import pytest

from ranksearch.allocation import ALLOCATORS, DISTORTIONS
from ranksearch.errors import StudyFileError
from ranksearch.records import DecaySchedule, Recipe
from ranksearch.study import (
    SAMPLERS,
    FinetuneSection,
    PretrainingSection,
    RanksSection,
    ScheduleSection,
    SearchSection,
    TrainingSection,
)


def _words(section: type[msgspec.Struct], key: str) -> set[str]:
    (annotation,) = (f.type for f in msgspec.structs.fields(section) if f.name == key)
    found: set[str] = set()
    todo = [annotation]
    while todo:
        part = todo.pop()
        found |= {part} if isinstance(part, str) else set()
        todo += get_args(part)
    return found


def test_choices_are_those_that_exist() -> None:
    assert _words(SearchSection, "sampler") == set(SAMPLERS)
    assert _words(SearchSection, "baselines") == set(ALLOCATORS)
    assert _words(RanksSection, "distortion") == set(DISTORTIONS)


def test_sections_have_every_key_of_what_they_set_with_its_default() -> None:
    assert set(ScheduleSection().settings) == set(DecaySchedule.__struct_fields__)
    assert set(TrainingSection().settings) == set(Recipe.__struct_fields__) - {"images"}
    assert DecaySchedule(**ScheduleSection().settings) == DecaySchedule()
    assert Recipe(images=TrainingSection().length(0), **TrainingSection().settings) == Recipe(
        init="elastic", augment="flip"
    )
    changeable = set(FinetuneSection.__struct_fields__) - {"epochs", "seeds"}
    assert changeable == {*Recipe.__struct_fields__, *DecaySchedule.__struct_fields__} - {"images"}


@pytest.mark.parametrize(
    ("given", "train", "images"), [({"images": 5}, 100, 5), ({"epochs": 1.5}, 100, 150), ({"epochs": 0.001}, 100, 1)]
)
def test_the_length_of_a_trial(given: dict[str, Any], train: int, images: int) -> None:
    assert TrainingSection(**given).length(train) == images


def test_finetune_changes_what_is_given_and_augments_in_full() -> None:
    assert FinetuneSection().changes == {"augment": "all"}
    assert FinetuneSection(lr=0.1, augment="none").changes == {"lr": 0.1, "augment": "none"}
    assert FinetuneSection(shape="linear", end=0.3).changes == {"augment": "all", "shape": "linear", "end": 0.3}


@pytest.mark.parametrize(
    ("given", "law"),
    [
        ({"learn": "al"}, "finetune.learn = 'al' is unknown; did you mean 'all'"),
        ({"shape": "lineal"}, "finetune.shape = 'lineal' is unknown; did you mean 'linear'"),
        ({"end": 2.0}, "finetune.end = 2.0 must be a fraction"),
        ({"fade": "full", "init": "elastic"}, 'finetune.fade must be "residual" where finetune.init is "elastic"'),
    ],
)
def test_finetune_states_the_laws_of_training_and_decay(given: dict[str, Any], law: str) -> None:
    with pytest.raises(StudyFileError, match=re.escape(law)):
        FinetuneSection(**given)


def test_pretraining_learns_everything_and_distils_nothing() -> None:
    recipe = PretrainingSection(epochs=2, lr=0.3).recipe(100)
    assert (recipe.images, recipe.lr, recipe.learn, recipe.distillation) == (200, 0.3, "all", 0.0)

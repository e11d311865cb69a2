"""Sections on what comes before the trials: how long the shared training is, and how it trains."""

from typing import Any

import pytest

from ranksearch.errors import StudyFileError
from ranksearch.study import ElasticSection, ScreenSection
from ranksearch.study.stage_sections import LEAST_STEPS, MOST_STEPS


@pytest.mark.parametrize(
    ("given", "images", "steps"),
    [
        ({}, 10**9, MOST_STEPS),
        ({}, 4 * 128 * 1000 + 127, 1000),
        ({}, 4 * 128 * LEAST_STEPS, LEAST_STEPS),
        ({}, 4 * 128 * LEAST_STEPS - 1, 0),
        ({"batch": 64, "slices": 2}, 4 * 128 * 500, 500),
        ({"steps": 5}, 1, 5),
        ({"steps": 0}, 10**9, 0),
    ],
)
def test_the_length_of_the_shared_training(given: dict[str, Any], images: int, steps: int) -> None:
    section = ElasticSection(**given)
    assert section.length(images) == steps
    assert section.steps is not None or steps * section.batch * section.slices <= images / 4


def test_the_shared_training_distils_and_nothing_else() -> None:
    recipe = ElasticSection(lr=0.3, batch=64).recipe(7)
    assert (recipe.steps, recipe.batch, recipe.lr) == (7, 64, 0.3)
    assert (recipe.distillation, recipe.weight_decay, recipe.learn) == (1.0, 0.0, "adapters+norm")


def test_a_stage_is_asked_once() -> None:
    assert ScreenSection(stages=("elastic",)).stages == ("elastic",)
    with pytest.raises(StudyFileError, match="each stage once"):
        ScreenSection(stages=("elastic", "elastic"))

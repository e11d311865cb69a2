"""A recipe refuses what no training could use, by key and number."""

import math

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ranksearch.errors import StudyFileError
from ranksearch.records import Recipe


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("images", 0), ("batch", 0), ("momentum", -0.1), ("momentum", 1.1), ("weight_decay", -1e-9), ("warmup", 1.01),
        ("distillation", 1.01), ("distillation", -0.1), ("lr", 0.0), ("lr", float("nan")), ("clip", 0),
        ("temperature", -1), ("momentum", 1.0), ("warmup", 1.0),
    ],
)  # fmt: skip
def test_refuses_numbers_out_of_range(key: str, value: float) -> None:
    with pytest.raises(StudyFileError, match=rf"training\.{key} = "):
        Recipe(**{key: value})


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("key", [f.name for f in msgspec.structs.fields(Recipe) if f.type in (int, float)])
def test_refuses_numbers_that_are_not_finite(key: str, value: float) -> None:
    with pytest.raises(StudyFileError, match=rf"training\.{key} = "):
        Recipe(**{key: value})


def test_takes_the_ends_of_its_ranges() -> None:
    Recipe(images=1, batch=1, momentum=0, weight_decay=0, warmup=0, distillation=1)
    Recipe(distillation=0)


@pytest.mark.parametrize(
    ("settings", "meant"),
    [({"optimizer": "adam"}, "adamw"), ({"learn": "adapter"}, "adapters"), ({"init": "elastik"}, "elastic")],
)
def test_refuses_unknown_words_and_names_the_nearest(settings: dict, meant: str) -> None:
    with pytest.raises(StudyFileError, match=f"did you mean {meant!r}"):
        Recipe(**settings)


@given(images=st.integers(1, 10**6), batch=st.integers(1, 1000))
def test_steps_cover_the_images_with_no_step_too_many(images: int, batch: int) -> None:
    steps = Recipe(images=images, batch=batch).steps
    assert (steps - 1) * batch < images <= steps * batch


@given(
    lr=st.floats(1e-6, 10), distillation=st.floats(0, 1), learn=st.sampled_from(["adapters", "adapters+norm", "all"])
)
def test_round_trips_as_json(lr: float, distillation: float, learn: str) -> None:
    recipe = Recipe(lr=lr, distillation=distillation, learn=learn)
    assert msgspec.json.decode(msgspec.json.encode(recipe), type=Recipe) == recipe

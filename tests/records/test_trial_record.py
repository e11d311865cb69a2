"""What a trial measures has one name, and its record survives JSON."""

import math

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ranksearch.errors import NonFiniteError
from ranksearch.layers import Dense, NetworkCost, RankConfiguration, Svd, Tucker2
from ranksearch.records import (
    DecaySchedule,
    Machine,
    Measurement,
    Milestone,
    Recipe,
    TrainingCost,
    TrialRecord,
    trial_key,
    trial_seed,
)
from ranksearch.records.schedule import FADES, ORDERS

RANKS = {"a": Tucker2(4, 2), "b": Svd(3), "c": Dense("first layer")}
CONFIGURATION = RankConfiguration(RANKS)
SCHEDULE, RECIPE = DecaySchedule(shape="cosine"), Recipe()
KEY = trial_key(CONFIGURATION, SCHEDULE, RECIPE)


def record(**changes: object) -> TrialRecord:
    cost = {form: NetworkCost(100 * i, 10, 4.0 / i, 2.0) for i, form in enumerate(("plain", "pivoted"), 1)}
    settings: dict = {
        "configuration": CONFIGURATION, "schedule": SCHEDULE, "recipe": RECIPE, "form": "pivoted", **cost,
        "measured": Measurement(0.9, 0.1, "search", 500),
        "milestones": (Milestone(10, 0.5, 1.0), Milestone(20, 0.0, 0.5, 0.8)),
        "cost": TrainingCost(images=20, seconds=1.0),
        "machine": Machine(device="cpu", processor="x", threads=1, precision="float32", versions={"torch": "2"}),
        "seed": 3,
    }  # fmt: skip
    return TrialRecord(**settings | changes)


@given(st.permutations(list(RANKS)), st.text())
def test_key_ignores_order_and_reasons(order: list[str], reason: str) -> None:
    again = {name: Dense(reason) if isinstance(RANKS[name], Dense) else RANKS[name] for name in order}
    assert trial_key(RankConfiguration(again), SCHEDULE, RECIPE) == KEY


def test_a_dense_layer_is_the_same_named_or_not() -> None:
    unnamed = {name: ranks for name, ranks in RANKS.items() if not isinstance(ranks, Dense)}
    assert trial_key(RankConfiguration(unnamed), SCHEDULE, RECIPE) == KEY


@given(st.sampled_from(FADES), st.sampled_from(ORDERS), st.floats(0.01, 1))
def test_without_decay_fade_order_and_end_mean_nothing(fade: str, order: str, end: float) -> None:
    plain = trial_key(CONFIGURATION, DecaySchedule(shape="none"), RECIPE)
    assert trial_key(CONFIGURATION, DecaySchedule(shape="none", fade=fade, order=order, end=end), RECIPE) == plain


@pytest.mark.parametrize(
    "other",
    [
        trial_key(RankConfiguration(RANKS | {"a": Tucker2(2, 4)}), SCHEDULE, RECIPE),
        trial_key(RankConfiguration(RANKS | {"c": Svd(1)}), SCHEDULE, RECIPE),
        trial_key(CONFIGURATION, DecaySchedule(shape="cosine", end=0.4), RECIPE),
        trial_key(CONFIGURATION, DecaySchedule(shape="cosine", fade="full"), RECIPE),
        trial_key(CONFIGURATION, SCHEDULE, Recipe(lr=0.021)),
    ],
)
def test_whatever_changes_the_measurement_changes_the_key(other: str) -> None:
    assert other != KEY


@given(st.integers(0, 2**40))
def test_seed_is_a_function_of_study_and_purpose(study: int) -> None:
    assert trial_seed(study, "trials") == trial_seed(study, "trials")
    assert 0 <= trial_seed(study, "trials") < 2**31
    assert trial_seed(study, "trials") not in (trial_seed(study + 1, "trials"), trial_seed(study, "elastic"))


def test_seed_is_the_same_on_every_machine() -> None:
    assert trial_seed(0, "0123456789abcdef") == 939266151


@given(st.none() | st.integers(0, 99), st.text(), st.floats(0, 1), st.none() | st.floats(0, allow_infinity=False))
def test_record_round_trips_as_json(copy_of: int | None, failure: str, accuracy: float, distance: float | None) -> None:
    made = record(copy_of=copy_of, failure=failure, measured=Measurement(accuracy, distance, "search", 500))
    assert msgspec.json.decode(msgspec.json.encode(made), type=TrialRecord) == made


@pytest.mark.parametrize("value", [math.inf, -math.inf, math.nan])
def test_a_measurement_holds_nothing_that_json_cannot(value: float) -> None:
    with pytest.raises(NonFiniteError, match="distance on the search split"):
        Measurement(0.5, value, "search", 500)
    with pytest.raises(NonFiniteError, match="accuracy on the test split"):
        Measurement(value, 0.1, "test", 500)


def test_an_unknown_form_is_not_read() -> None:
    text = msgspec.json.encode(record()).replace(b'"form":"pivoted"', b'"form":"pivot"')
    with pytest.raises(msgspec.ValidationError, match="form"):
        msgspec.json.decode(text, type=TrialRecord)


@pytest.mark.parametrize("form", ["plain", "pivoted"])
def test_counted_is_the_cost_by_the_studys_count(form: str) -> None:
    made = record(form=form)
    assert made.counted == getattr(made, form)
    assert made.key == KEY


def test_settings_that_came_later_are_part_of_the_key_and_older_keys_stay() -> None:
    configuration = RankConfiguration({"fc": Svd(2)})
    recipes = Recipe(), Recipe(init="elastic"), Recipe(augment="flip"), Recipe(init="elastic", augment="flip")
    keys = [trial_key(configuration, DecaySchedule(shape="cosine"), recipe) for recipe in recipes]
    assert keys[0] == "35e783a8341b9419"  # of a version that knew neither
    assert len(set(keys)) == len(keys)

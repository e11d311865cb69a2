import json
import math
import warnings
from collections.abc import Callable
from typing import Any

import msgspec
import optuna
import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from ranksearch.errors import RankError
from ranksearch.layers import LayerSpec, NetworkSpec, RankConfiguration, is_legal
from ranksearch.records import NO_DECAY, DecaySchedule
from ranksearch.study import StudyFile, TrainingSection, Variables

fixtures_are_constant = hypothesis_settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=50
)


@pytest.fixture(params=["allocated", "direct"])
def variables(
    request: pytest.FixtureRequest, make_study: Callable[..., StudyFile], network: NetworkSpec, allocate: Any
) -> Variables:
    return Variables(make_study(ranks={"space": request.param}), network, allocate)


def _draw(data: st.DataObject, variables: Variables) -> dict[str, Any]:
    values = {}
    for name, d in variables.space().items():
        if isinstance(d, optuna.distributions.CategoricalDistribution):
            values[name] = data.draw(st.sampled_from(d.choices))
        elif isinstance(d, optuna.distributions.IntDistribution):
            values[name] = data.draw(st.integers(d.low, d.high))
        else:
            assert isinstance(d, optuna.distributions.FloatDistribution)
            values[name] = data.draw(st.floats(d.low, d.high))
    return values


def test_names_of_the_allocated_space(
    make_study: Callable[..., StudyFile], network: NetworkSpec, allocate: Any
) -> None:
    space = Variables(make_study(), network, allocate).space()
    assert list(space) == [
        "log2_ratio", "weight/conv1", "weight/conv2", "weight/fc", "tilt/conv1", "tilt/conv2",
        "schedule/shape", "schedule/end", "training/lr",
    ]  # fmt: skip
    assert space["log2_ratio"] == optuna.distributions.FloatDistribution(math.log2(1.5), 3.0)


def test_names_of_the_direct_space(make_study: Callable[..., StudyFile], network: NetworkSpec, allocate: Any) -> None:
    space = Variables(make_study(ranks={"space": "direct"}), network, allocate).space()
    bounds = {n: (d.low, d.high) for n, d in space.items() if isinstance(d, optuna.distributions.IntDistribution)}
    assert bounds == {
        "rank_out/conv1": (1, 16), "rank_in/conv1": (1, 3), "rank_out/conv2": (1, 32), "rank_in/conv2": (1, 16),
        "rank/fc": (1, 10),
    }  # fmt: skip


def test_many_layers_share_weights_by_stage_and_have_no_tilts(
    make_study: Callable[..., StudyFile], allocate: Any
) -> None:
    layers = tuple(
        LayerSpec(
            name=f"c{i}", kind="conv2d", channels_out=16 if i < 10 or i > 18 else 32, channels_in=8, kernel=(3, 3)
        )
        for i in range(21)
    )
    network = NetworkSpec(layers=layers, params=10**6, macs=1)
    variables = Variables(make_study(), network, allocate)
    assert [n for n in variables.space() if "/c" in n] == ["weight/c0..c9", "weight/c10..c18", "weight/c19..c20"]
    assert [name for names in variables.stages.values() for name in names] == list(network.names)
    widths = tuple(
        msgspec.structs.replace(layers[10 * (i % 2)], name=f"c{i}") for i in range(54)
    )  # bottlenecks, transformers
    alternating = NetworkSpec(layers=widths, params=10**6, macs=1)
    sizes = list(map(len, Variables(make_study(), alternating, allocate).stages.values()))
    assert (len(sizes), sum(sizes), {2, 3}) == (20, 54, set(sizes))
    fewer = NetworkSpec(layers=layers[:20], params=10**6, macs=1)
    assert sum(n.startswith("tilt/") for n in Variables(make_study(), fewer, allocate).space()) == 20


@fixtures_are_constant
@given(data=st.data())
def test_every_point_of_the_space_decodes_into_something_legal(
    data: st.DataObject, variables: Variables, network: NetworkSpec
) -> None:
    values = _draw(data, variables)
    configuration, schedule, recipe = variables.decode(values)
    assert set(configuration.layers) == set(network.names)
    assert all(is_legal(spec, configuration[spec.name]) for spec in network.layers)
    assert recipe.lr == values["training/lr"]
    assert recipe.images == 6400
    assert schedule == (NO_DECAY if values["schedule/shape"] == "none" else schedule)
    assert schedule == schedule.canonical()


def test_weights_are_centred_and_reach_every_layer_of_their_stage(
    make_study: Callable[..., StudyFile], network: NetworkSpec, allocate: Any
) -> None:
    seen: list[Any] = []

    def spy(ratio: float, weights: Any, tilts: Any) -> RankConfiguration:
        seen.append((ratio, dict(weights), dict(tilts)))
        return allocate(ratio, weights, tilts)

    variables = Variables(make_study(), network, spy)
    values = variables.default_values(4.0) | {
        "weight/conv1": 2.0,
        "weight/conv2": 0.5,
        "weight/fc": 0.5,
        "tilt/conv2": 0.25,
    }
    variables.decode(values)
    assert seen == [(4.0, {"conv1": 1.0, "conv2": -0.5, "fc": -0.5}, {"conv1": 0.0, "conv2": 0.25})]


@fixtures_are_constant
@given(data=st.data())
def test_direct_values_return(
    data: st.DataObject, make_study: Callable[..., StudyFile], network: NetworkSpec, allocate: Any
) -> None:
    variables = Variables(make_study(ranks={"space": "direct"}), network, allocate)
    values = _draw(data, variables)
    configuration = variables.decode(values)[0]
    again = variables.encode(configuration, values)
    assert variables.decode(again)[0].digest == configuration.digest
    assert {k: again[k] for k in again if k.startswith(("schedule/", "training/"))} == {
        k: values[k] for k in values if k.startswith(("schedule/", "training/"))
    }


def test_only_direct_values_express_any_configuration(
    make_study: Callable[..., StudyFile], network: NetworkSpec, allocate: Any
) -> None:
    with pytest.raises(RankError, match="direct"):
        Variables(make_study(), network, allocate).encode(allocate(2, {}, {}), {})


def test_seeds_are_whole_points_of_the_space_and_decode_into_the_closed_form(
    variables: Variables, allocate: Any
) -> None:
    ratios = [1.5, 3.0, 8.0]
    for ratio, values in zip(ratios, variables.seeds(ratios), strict=True):
        space = variables.space()
        assert values.keys() == space.keys()
        assert all(space[name]._contains(space[name].to_internal_repr(v)) for name, v in values.items())
        configuration, schedule, recipe = variables.decode(values)
        assert configuration.digest == allocate(ratio, {}, {}).digest
        assert (schedule, recipe) == variables.default_training()


def test_defaults_are_the_first_of_lists_and_the_middle_of_ranges(variables: Variables) -> None:
    schedule, recipe = variables.default_training()
    assert schedule == NO_DECAY  # "none" stands first
    assert math.isclose(recipe.lr, 0.1)
    values = variables.default_values(2.0) | {"schedule/shape": "linear"}
    assert variables.decode(values)[1] == DecaySchedule(shape="linear", end=0.5)


def test_the_length_may_be_given_in_epochs(
    make_study: Callable[..., StudyFile], network: NetworkSpec, allocate: Any
) -> None:
    study = msgspec.structs.replace(make_study(), training=TrainingSection(epochs=2.5))
    assert Variables(study, network, allocate, train=100).default_training()[1].images == 250


def test_a_trial_suggests_every_variable_with_constant_bounds(variables: Variables) -> None:
    study = optuna.create_study(directions=["maximize"] * 2, sampler=optuna.samplers.RandomSampler(seed=0))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for values in variables.seeds([2.0, 4.0]):
            study.enqueue_trial(values)
        for _ in range(6):
            trial = study.ask()
            values = variables.suggest(trial)
            assert values == trial.params
            study.tell(trial, [0.0, 0.0])
    assert all(t.distributions == variables.space() for t in study.trials)
    assert study.trials[1].params == variables.seeds([4.0])[0]


def test_the_description_is_plain_and_changes_with_a_bound(
    variables: Variables, make_study: Callable[..., StudyFile], network: NetworkSpec, allocate: Any
) -> None:
    described = variables.described()
    assert json.loads(json.dumps(described)) == described
    assert described.keys() == variables.space().keys()
    other = make_study(ranks={"space": variables.study.ranks.space}, schedule={"end": {"low": 0.3, "high": 0.8}})
    changed = Variables(other, network, allocate).described()
    assert {name for name in described if described[name] != changed[name]} == {"schedule/end"}


def test_whole_numbers_and_steps_keep_their_kind(
    make_study: Callable[..., StudyFile], network: NetworkSpec, allocate: Any
) -> None:
    training = {"batch": {"low": 32, "high": 128, "step": 32}, "momentum": {"low": 0.5, "high": 0.9, "step": 0.1}}
    variables = Variables(make_study(training=training), network, allocate)
    space = variables.space()
    assert space["training/batch"] == optuna.distributions.IntDistribution(32, 128, step=32)
    assert space["training/momentum"] == optuna.distributions.FloatDistribution(0.5, 0.9, step=0.1)
    assert variables.default_training()[1].batch in (64, 96)

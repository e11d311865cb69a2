from collections.abc import Callable
from typing import Any

import pytest

from ranksearch.errors import StudyChangedError
from ranksearch.study import StudyFile, fingerprint, require_same, settings


def _resume(old: StudyFile, new: StudyFile, **contents: Any) -> None:
    before = fingerprint(settings(old), {"x": [0, 1]}, weights="a", splits="b")
    after = fingerprint(settings(new), {"x": [0, 1]}, **({"weights": "a", "splits": "b"} | contents))
    require_same("small", before, after, settings(old), settings(new))


@pytest.mark.parametrize(
    "changed",
    [
        {"search": {"trials": 7, "minutes": 3, "sampler": "gp", "workers": 2, "device": "cpu", "baselines": []}},
        {"search": {"stop": "neighbours"}},
        {"search": {"storage": "sqlite:///elsewhere.db"}},
        {"finetune": {"epochs": 1, "lr": 0.3}},
        {"report": {"published": [{"name": "TRP", "accuracy": 0.9, "ratio": 3.4}]}},
        {"network": {"weights": "elsewhere.pt", "expect_accuracy": 0.5}},
        {"network": {"training": {"epochs": 3}}},
        {"data": {"source": "npz:elsewhere"}},
    ],
)
def test_free_settings_may_change(changed: dict[str, Any], make_study: Callable[..., StudyFile]) -> None:
    _resume(make_study(), make_study(**changed))


def test_an_elastic_adapter_that_no_trial_starts_from_may_change(make_study: Callable[..., StudyFile]) -> None:
    training = {"init": "decomposition"}
    _resume(make_study(training=training), make_study(training=training, elastic={"lr": 0.1, "steps": 900}))


def test_latencies_that_are_not_compared_may_be_taken_otherwise(make_study: Callable[..., StudyFile]) -> None:
    _resume(make_study(), make_study(latency={"batch": 64}))
    search = {"floors": {"latency_ratio": 1.5}}
    with pytest.raises(StudyChangedError, match=r"latency\.batch 1 → 64"):
        _resume(make_study(search=search), make_study(search=search, latency={"batch": 64}))


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({"training": {"lr": 0.5}}, "training.lr {low = 0.01, high = 1.0, log = True} → 0.5"),
        ({"training": {"images": 10}}, "training.images 6400 → 10"),
        ({"ranks": {"ratio": [1.5, 9.0]}}, "ranks.ratio [1.5, 8.0] → [1.5, 9.0]"),
        ({"ranks": {"accuracy_floor": 0.1}}, "ranks.accuracy_floor 0.0 → 0.1"),
        ({"schedule": {"shape": "none"}}, "schedule.shape ['none', 'linear'] → none"),
        ({"data": {"search": 400}}, "data.search 500 → 400"),
        ({"data": {"normalize": {"mean": [0.5], "std": [0.2]}}}, "data.normalize"),
        ({"search": {"seed": 3}}, "search.seed 0 → 3"),
        ({"search": {"objectives": ["accuracy", "compression_ratio", "mac_ratio"]}}, "search.objectives"),
        ({"search": {"floors": {"mac_ratio": 2}}}, "search.floors"),
        ({"network": {"arguments": {"width": 2}}}, "network.arguments"),
    ],
)
def test_a_changed_measurement_is_refused_by_key(
    changed: dict[str, Any], told: str, make_study: Callable[..., StudyFile]
) -> None:
    with pytest.raises(StudyChangedError) as caught:
        _resume(make_study(), make_study(**changed))
    message = str(caught.value)
    assert told in message
    assert "study 'small'" in message
    assert "new name" in message
    assert "\n" not in message


@pytest.mark.parametrize("init", ["elastic", ["decomposition", "elastic"]])
def test_what_trials_start_from_may_not_change(init: Any, make_study: Callable[..., StudyFile]) -> None:
    training = {"init": init}
    with pytest.raises(StudyChangedError, match=r"mix them: elastic\.lr 0\.02 → 0\.1; restore"):
        _resume(make_study(training=training), make_study(training=training, elastic={"lr": 0.1}))
    with pytest.raises(StudyChangedError, match=r"training\.init decomposition → "):
        _resume(make_study(training={"init": "decomposition"}), make_study(training=training))


def test_changed_contents_are_refused_by_name(make_study: Callable[..., StudyFile]) -> None:
    with pytest.raises(StudyChangedError, match=r"mix them: splits; weights; restore"):
        _resume(make_study(), make_study(), weights="other", splits="others")


def test_variables_are_told_only_where_no_setting_explains_them(make_study: Callable[..., StudyFile]) -> None:
    plain = settings(make_study())
    old, new = fingerprint(plain, {"weight/a": 1}), fingerprint(plain, {"weight/b": 1})
    with pytest.raises(StudyChangedError, match="mix them: variables; restore"):
        require_same("small", old, new, plain, plain)


def test_digests_do_not_depend_on_the_order_of_keys(make_study: Callable[..., StudyFile]) -> None:
    plain = settings(make_study())
    backwards = {k: dict(reversed(v.items())) if isinstance(v, dict) else v for k, v in reversed(plain.items())}
    assert fingerprint(plain, {"a": 1, "b": 2}) == fingerprint(backwards, {"b": 2, "a": 1})
    assert all(len(digest) == 16 for digest in fingerprint(plain, {}).values())

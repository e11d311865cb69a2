"""A dense network is trained once, and never taken for another one that has its weights' shapes."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from torch import nn

from ranksearch.errors import NetworkError, WeightsError
from ranksearch.runner.founding import join_study
from ranksearch.runner.session import DENSE
from ranksearch.study import opened_file
from ranksearch.subject import dense_training
from ranksearch.subject.subject import study_subject

TRAINED = {"network": {"model": "own:make", "weights": "train", "training": {"epochs": 6, "lr": 0.05}}}


@pytest.fixture
def own(monkeypatch: pytest.MonkeyPatch) -> Any:
    """A module of the user's, whose factory can be changed, and a count of trainings."""
    import types

    import barnet  # type: ignore[import-not-found]

    module = types.ModuleType("own")
    module.made, module.trainings = nn.ReLU, 0

    def make() -> nn.Module:
        network = barnet.make()
        network[5] = module.made()
        return network

    def counted(*given: Any, **how: Any) -> Any:
        module.trainings += 1
        return trained(*given, **how)

    trained = dense_training.fine_tune
    module.make = make
    monkeypatch.setattr(dense_training, "fine_tune", counted)
    monkeypatch.setitem(__import__("sys").modules, "own", module)
    return module


def test_another_forward_is_another_network(own: Any, write: Callable[..., Path]) -> None:
    study = opened_file(write(**TRAINED), {})
    first = study_subject(study)
    assert study_subject(study).weights == first.weights
    assert own.trainings == 1
    own.made = nn.Tanh  # as where the user edits the network between two runs
    assert study_subject(study).weights != first.weights
    assert own.trainings == 2


def test_a_study_keeps_the_network_that_was_trained_for_it(
    own: Any, write: Callable[..., Path], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """No two machines, nor two numbers of threads, train the same one; a cache is emptied."""
    monkeypatch.setenv("RANKSEARCH_CACHE", str(tmp_path / "here"))
    study = opened_file(write(**TRAINED), {})
    here = join_study(study)
    monkeypatch.setenv("RANKSEARCH_CACHE", str(tmp_path / "there"))
    there = join_study(study)
    assert own.trainings == 1
    assert there.id == here.id
    assert there.subject.weights == here.subject.weights
    here.artifacts.path(DENSE).write_bytes(b"another")
    with pytest.raises(WeightsError, match="not the study's dense network, or damaged"):
        join_study(study)


def test_lazy_layers_are_named(own: Any, write: Callable[..., Path]) -> None:
    own.make = lambda: nn.Sequential(nn.Flatten(), nn.LazyLinear(4))
    with pytest.raises(NetworkError, match="lazy layers that have seen no input yet"):
        study_subject(opened_file(write(**TRAINED), {}))


def test_labels_beyond_the_outputs_are_told_before_the_network_is_trained(own: Any, write: Callable[..., Path]) -> None:
    own.make = lambda: nn.Sequential(nn.Flatten(), nn.Linear(64, 3))
    with pytest.raises(NetworkError, match="labels run to 3, and the network has 3 outputs"):
        study_subject(opened_file(write(**TRAINED), {}))

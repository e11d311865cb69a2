from pathlib import Path

import pytest

from ranksearch.records import SCHEDULES
from ranksearch.study import read_study, settings
from ranksearch.study.ranges import words

STUDIES = Path(__file__).parents[2] / "studies"
NAMES = [
    "digits",
    "lenet5-mnist",
    "resnet20-cifar10",
    "resnet32-cifar10",
    "resnet32-cifar100",
    "resnet56-cifar10",
    "vgg16-cifar10",
    "vgg16-svhn",
]


def test_these_are_all() -> None:
    assert sorted(path.stem for path in STUDIES.glob("*.toml")) == sorted(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_they_are_read_and_named_after_their_file(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RANKSEARCH_DATA", "/somewhere")
    study = read_study(STUDIES / f"{name}.toml")
    assert study.name == name
    assert study.data.source == "digits" or "/somewhere" in study.data.source
    assert set(words(study.schedule.shape)) <= set(SCHEDULES)
    assert settings(study)["search"]["trials"] == study.search.trials


def test_the_offline_study_needs_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("RANKSEARCH_DATA", raising=False)
    study = read_study(STUDIES / "digits.toml")
    assert study.network.weights == "train"
    assert study.data.search >= 500

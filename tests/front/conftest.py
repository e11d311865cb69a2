"""Made-up studies whose trials have given accuracies and ratios."""

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import Any

import pytest

from ranksearch.layers import Dense, LayerSpec, NetworkCost, NetworkSpec, RankConfiguration, Svd, Tucker2
from ranksearch.records import (
    NO_DECAY,
    Machine,
    Measurement,
    Recipe,
    StudyHistory,
    StudyRecord,
    TrainingCost,
    Trial,
    TrialRecord,
)

NETWORK = NetworkSpec(
    layers=(
        LayerSpec(name="conv", kind="conv2d", channels_out=8, channels_in=4, kernel=(3, 3)),
        LayerSpec(name="fc", kind="linear", channels_out=10, channels_in=8),
    ),
    params=1000,
    macs=5000,
)
MACHINE = Machine(device="cpu", processor="test", threads=1, precision="float32", versions={})
START = datetime(2026, 3, 2, 9, 0)


def make_study(**changes: Any) -> StudyRecord:
    values: dict[str, Any] = {
        "name": "made-up",
        "network": NETWORK,
        "form": "pivoted",
        "objectives": ("accuracy", "compression_ratio"),
        "dense": Measurement(0.95, 0.0, "search", 1000),
        "ratio": (1.0, 16.0),
        "accuracy_floor": 0.5,
        "settings": {},
        "fingerprint": {},
        "splits": {"train": 1, "search": 1, "test": 1},
        "protocol": (),
        "machine": MACHINE,
    }
    return StudyRecord(**(values | changes))


def make_trial(number: int, accuracy: float, ratio: float, minute: int | None = None, **changes: Any) -> Trial:
    """A finished trial; ``minute`` (its number unless told) of the day it finished, ranks from its number."""
    ranks = RankConfiguration({"conv": Tucker2(1 + number % 8, 1 + number // 8 % 4), "fc": Svd(3)})
    values: dict[str, Any] = {
        "configuration": ranks,
        "schedule": NO_DECAY,
        "recipe": Recipe(images=100),
        "form": "pivoted",
        "plain": NetworkCost(500, 2500, ratio * 0.9, ratio / 2),
        "pivoted": NetworkCost(450, 2400, ratio, ratio / 1.5),
        "measured": Measurement(accuracy, 1 - accuracy, "search", 1000),
        "cost": TrainingCost(images=100, seconds=2.5),
        "machine": MACHINE,
        "seed": number,
    }
    minute = number if minute is None else minute
    return Trial(
        number=number,
        state="complete",
        started=START + timedelta(minutes=minute - 1),
        finished=START + timedelta(minutes=minute),
        record=TrialRecord(**(values | changes)),
    )


def make_history(
    trials: Sequence[Trial] = (), *, baselines: Sequence[Trial] = (), finalists: Sequence[Trial] = (), **changes: Any
) -> StudyHistory:
    return StudyHistory(
        study=make_study(**changes), trials=tuple(trials), baselines=tuple(baselines), finalists=tuple(finalists)
    )


@pytest.fixture(scope="session")
def trial() -> Callable[..., Trial]:
    return make_trial


@pytest.fixture(scope="session")
def history_of() -> Callable[..., StudyHistory]:
    return make_history


@pytest.fixture(scope="session")
def dense_ranks() -> RankConfiguration:
    return RankConfiguration({"conv": Dense("control"), "fc": Dense("control")})

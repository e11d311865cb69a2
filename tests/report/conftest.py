"""A made-up study of ResNet-20 on CIFAR-10, as large and as varied as a real one; nothing is trained."""

import math
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import msgspec
import numpy as np
import pytest

from ranksearch.layers import (
    Dense,
    LayerSpec,
    LeftDense,
    NetworkSpec,
    RankConfiguration,
    full_ranks,
    network_cost,
    project,
)
from ranksearch.records import (
    ClosedFormPoint,
    DecaySchedule,
    Machine,
    Measurement,
    Milestone,
    PublishedPoint,
    Recipe,
    StudyHistory,
    StudyRecord,
    TrainingCost,
    Trial,
    TrialRecord,
)
from ranksearch.report.study_view import StudyView

START = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
DENSE = 0.9978
NAN = "loss became NaN at step 112 of 500"
MACHINE = Machine(device="cpu", processor="x86_64, 2 cores", threads=2, precision="bfloat16, channels last",
                  versions={"python": "3.11.2", "torch": "2.13.0", "optuna": "5.0.0"})  # fmt: skip


def resnet20() -> NetworkSpec:
    layers, channels, size = [], 16, 32
    for stage, width in enumerate((16, 32, 64), start=1):
        for block in range(3):
            stride = 2 if stage > 1 and block == 0 else 1
            for conv in (1, 2):
                step = stride if conv == 1 else 1
                layers.append(
                    LayerSpec(name=f"layer{stage}.{block}.conv{conv}", kind="conv2d", channels_out=width,
                              channels_in=channels, kernel=(3, 3), stride=(step, step), positions_in=size**2,
                              positions_out=(size // step) ** 2)
                )  # fmt: skip
                size, channels = size // step, width
    layers.append(LayerSpec(name="linear", kind="linear", channels_out=10, channels_in=64, bias=True))
    stem = LeftDense(name="conv1", type="Conv2d", reason="excluded by the study file", params=432, macs=442_368)
    params = sum(layer.params for layer in layers) + stem.params + 2 * (7 * 16 + 6 * 32 + 6 * 64)
    macs = sum(layer.macs for layer in layers) + stem.macs
    return NetworkSpec(layers=tuple(layers), left_dense=(stem,), params=params, macs=macs, input_shape=(3, 32, 32))


def configuration(network: NetworkSpec, ratio: float, rng: np.random.Generator, noise: float) -> RankConfiguration:
    """Ranks around one fraction of the full ranks, which is bisected onto the compression ratio."""
    tilts = {spec.name: np.exp(noise * rng.standard_normal(len(spec.modes))) for spec in network.layers}

    def at(fraction: float) -> RankConfiguration:
        wanted = {spec.name: np.multiply(full_ranks(spec), fraction * tilts[spec.name]) for spec in network.layers}
        return RankConfiguration(
            {s.name: project(s, tuple(round(rank) for rank in wanted[s.name]), "pivoted") for s in network.layers}
        )

    low, high = 0.02, 1.5
    for _ in range(16):
        middle = (low + high) / 2
        if network_cost(network, at(middle), "pivoted").compression_ratio > ratio:
            low = middle
        else:
            high = middle
    return at(low)


def accuracy_at(ratio: float, handicap: float = 0.0) -> float:
    """A plausible accuracy on a search split that the checkpoint has seen."""
    return DENSE - 0.0075 * math.log2(ratio) ** 2.35 - handicap * math.log2(ratio) ** 1.3


def record(
    network: NetworkSpec, chosen: RankConfiguration, accuracy: float, rng: np.random.Generator, **changes: object
) -> TrialRecord:
    shapes = ["cosine", "linear", "none", "exponential", "staircase"]
    schedule = DecaySchedule(
        shape=str(rng.choice(shapes, p=[0.4, 0.25, 0.15, 0.1, 0.1])),
        fade="full" if rng.random() < 0.3 else "residual",
        end=round(float(rng.uniform(0.2, 0.8)), 3),
        order="back-to-front" if rng.random() < 0.25 else "together",
    )
    seconds = float(rng.normal(150, 12))
    values: dict[str, object] = {
        "configuration": chosen,
        "schedule": schedule.canonical(),
        "recipe": Recipe(images=64_000, lr=float(np.exp(rng.uniform(math.log(0.005), math.log(0.1))))),
        "form": "pivoted",
        "plain": network_cost(network, chosen, "plain"),
        "pivoted": network_cost(network, chosen, "pivoted"),
        "measured": Measurement(accuracy=accuracy, distance=(1 - accuracy) * 2, split="search", images=5000),
        "milestones": tuple(
            Milestone(images, schedule.decay(images / 64_000), 2 / images**0.2, accuracy - 1000 / images)
            for images in (16_000, 32_000, 48_000)
        ),
        "cost": TrainingCost(images=64_000, seconds=seconds, training_seconds=seconds - 8, seconds_per_step=0.28),
        "machine": MACHINE,
        "seed": int(rng.integers(2**31)),
    }
    return TrialRecord(**(values | changes))  # type: ignore[arg-type]


def make_study(name: str, network: NetworkSpec, rng: np.random.Generator, **changes: object) -> StudyRecord:
    closed = []
    for ratio in np.geomspace(1.5, 8, 8):
        chosen = configuration(network, ratio, rng, 0.05)
        real = network_cost(network, chosen, "pivoted").compression_ratio
        accuracy = max(0.1, DENSE - 0.08 * math.log2(real) ** 2.2)
        measured = Measurement(accuracy, 2 - 2 * accuracy, "search", 5000)
        closed.append(ClosedFormPoint(f"rate-distortion@{ratio:.2g}", chosen, real, measured))
    values: dict[str, object] = {
        "name": name,
        "network": network,
        "form": "pivoted",
        "objectives": ("accuracy", "compression_ratio"),
        "dense": Measurement(DENSE, 0.0, "search", 5000),
        "ratio": (1.5, 8.0),
        "accuracy_floor": 0.7,
        "settings": {
            "name": name,
            "network": {"model": "resnet20", "weights": "${RANKSEARCH_DATA}/weights/resnet20-12fca82f.th"},
            "data": {"source": "npz:${RANKSEARCH_DATA}/cifar10", "search": 5000, "augment": ["crop:4", "flip"],
                     "normalize": {"mean": [0.485, 0.456, 0.406], "std": [0.229, 0.224, 0.225]}},
            "ranks": {"space": "allocated", "ratio": [1.5, 8.0], "accuracy_floor": 0.7, "exclude": ["conv1"]},
            "schedule": {"shape": ["none", "linear", "cosine"], "fade": "residual", "end": {"low": 0.2, "high": 0.8}},
            "training": {"images": 64000, "lr": {"low": 0.005, "high": 0.1, "log": True}, "distillation": 0.9},
            "search": {"trials": 40, "sampler": "tpe", "seed": 0, "baselines": ["uniform", "energy", "evbmf"]},
            "finetune": {"epochs": 30, "seeds": 3},
        },
        "fingerprint": {"weights": "12fca82f0c5d3a77", "splits": "9c31aa04be1207fd", "method": "b7710c22e8154c09"},
        "splits": {"train": 45_000, "search": 5000, "test": 10_000},
        "protocol": (
            "The search split was taken out of the training data, stratified by class.",
            "The checkpoint was trained on it: the dense network has 99.8 % there against 91.7 % on the test split.",
        ),
        "closed_form": tuple(closed),
        "machine": MACHINE,
        "seconds_per_trial": 141.0,
    }  # fmt: skip
    return StudyRecord(**(values | changes))  # type: ignore[arg-type]


def finished(number: int, found: TrialRecord) -> Trial:
    began = START + timedelta(seconds=160 * number)
    over = began + timedelta(seconds=found.cost.seconds)
    return Trial(number=number, state="complete", started=began, finished=over, record=found)


def failed(number: int, reason: str) -> Trial:
    return Trial(number=number, state="failed", started=START, finished=START, reason=reason)


def make_history(name: str = "resnet20-cifar10", trials: int = 40, seed: int = 0) -> StudyHistory:
    """A study of at least 10 trials, four of them not simply finished, with 9 baselines and 3 finalists."""
    rng, network = np.random.default_rng(seed), resnet20()

    def measured(ratio: float, noise: float, handicap: float, **changes: object) -> TrialRecord:
        chosen = configuration(network, ratio, rng, noise)
        real = network_cost(network, chosen, "pivoted").compression_ratio
        return record(network, chosen, accuracy_at(real, handicap + 0.01 * float(rng.exponential())), rng, **changes)

    ratios = np.exp(rng.uniform(math.log(1.55), math.log(8.2), trials))
    records = [measured(float(ratio), 0.25, 0.0) for ratio in ratios]
    rows = [finished(n, found) for n, found in enumerate(records)]
    rows[4] = finished(
        4, msgspec.structs.replace(records[4], measured=Measurement(0.0, 9.0, "search", 5000), failure=NAN)
    )
    rows[7], rows[9] = failed(7, "CUDA out of memory"), failed(9, "worker lost")
    rows[8] = finished(8, msgspec.structs.replace(records[6], copy_of=6))

    kinds = [(kind, ratio, loss) for kind, loss in (("uniform", 0.012), ("energy", 0.02)) for ratio in (2, 3, 4, 6)]
    baselines = [
        finished(n, measured(ratio, 0.02, loss, origin=f"baseline {kind}@{ratio:g}"))
        for n, (kind, ratio, loss) in enumerate([*kinds, ("evbmf", 7.6, 0.015)])
    ]

    own = sorted((records[n] for n in range(10, trials)), key=lambda found: found.pivoted.compression_ratio)
    dense = RankConfiguration({spec.name: Dense("dense control") for spec in network.layers})
    finalists = [
        finished(n, tested(network, origin, ranks, seed, rng))
        for n, (origin, ranks, seed) in enumerate(
            (origin, ranks, seed)
            for origin, ranks in [
                *(("finalist", own[len(own) * quarter // 4].configuration) for quarter in (1, 2, 3) if own),
                ("dense control", dense),
            ]
            for seed in range(3)
        )
    ]
    return StudyHistory(
        study=make_study(name, network, rng),
        trials=tuple(rows),
        baselines=tuple(baselines),
        finalists=tuple(finalists),
        importances={
            target: made_up_importances(network, rng) for target in ("front", "accuracy", "compression_ratio")
        },
        published=(
            PublishedPoint(name="TRP", accuracy=0.9062, ratio=3.4),
            PublishedPoint(name="LC", accuracy=0.901, ratio=3.0, count="macs"),
        ),
    )


def made_up_importances(network: NetworkSpec, rng: np.random.Generator) -> dict[str, float]:
    names = ["log2_ratio", "training/lr", "schedule/end", *(f"weight/{name}" for name in network.names)]
    return dict(zip(names, rng.dirichlet(np.full(len(names), 0.3)).tolist(), strict=True))


def tested(
    network: NetworkSpec, origin: str, ranks: RankConfiguration, seed: int, rng: np.random.Generator
) -> TrialRecord:
    """One seed of a finalist, after 30 epochs."""
    ratio = network_cost(network, ranks, "pivoted").compression_ratio
    accuracy = 0.9195 - 0.0045 * math.log2(ratio) ** 1.8 + 0.001 * float(rng.standard_normal())
    return record(
        network, ranks, accuracy, rng, origin=origin, seed=seed, schedule=DecaySchedule(),
        recipe=Recipe(images=1_500_000), cost=TrainingCost(images=1_500_000, seconds=3600.0),
        measured=Measurement(accuracy, 0.1, "test", 10_000),
    )  # fmt: skip


HOSTILE = """</script><script>window.harmed=1</script><img src=x onerror="window.harmed=1">'"&%{x}{{ 7*7 }}"""


def make_hostile(history: StudyHistory) -> StudyHistory:
    """The same study with every free text replaced by one that would like to be run."""
    replace, study = msgspec.structs.replace, history.study
    first = study.network.layers[0].name

    def spoil(trial: Trial) -> Trial:
        if trial.record is None:
            return replace(trial, reason=HOSTILE)
        layers = {HOSTILE if name == first else name: r for name, r in trial.record.configuration.layers.items()}
        failure = HOSTILE if trial.record.failure else ""
        spoilt = replace(trial.record, configuration=RankConfiguration(layers), origin=HOSTILE, failure=failure)
        return replace(trial, record=spoilt)

    layers = (replace(study.network.layers[0], name=HOSTILE), *study.network.layers[1:])
    left = (LeftDense(name=HOSTILE, type=HOSTILE, reason=HOSTILE, params=432),)
    return StudyHistory(
        study=replace(
            study,
            name=HOSTILE,
            network=replace(study.network, layers=layers, left_dense=left),
            settings={HOSTILE: {HOSTILE: HOSTILE}},
            fingerprint={HOSTILE: HOSTILE},
            splits={HOSTILE: 1},
            protocol=(HOSTILE,),
            closed_form=tuple(replace(p, label=HOSTILE) for p in study.closed_form),
        ),
        trials=tuple(map(spoil, history.trials)),
        baselines=tuple(map(spoil, history.baselines)),
        finalists=tuple(map(spoil, history.finalists)),
        importances={target: {HOSTILE: 1.0} for target in history.importances},
        published=(PublishedPoint(name=HOSTILE, accuracy=0.9, ratio=3.0),),
    )


def make_odd(history: StudyHistory) -> dict[str, StudyHistory]:
    """Studies that are hardly begun, or that went wrong."""
    replace = msgspec.structs.replace
    begun = replace(history, baselines=(), finalists=(), importances={}, published=())
    useless = tuple(replace(history.trials[4], number=n) for n in range(5))
    bare = replace(history.study, closed_form=(), protocol=(), settings={}, fingerprint={}, splits={})
    waiting = (Trial(number=3, state="running", started=START), Trial(number=4, state="waiting"))
    return {
        "empty": replace(begun, trials=()),
        "bare": replace(begun, trials=(), study=bare),
        "one point": replace(begun, trials=history.trials[:1]),
        "running": replace(begun, trials=(*history.trials[:3], *waiting)),
        "failures only": replace(begun, trials=(*useless, *(failed(n, "worker lost") for n in range(5, 9)))),
        "hostile": make_hostile(history),
    }


@pytest.fixture(scope="session")
def history() -> StudyHistory:
    return make_history()


@pytest.fixture(scope="session", name="make_history")
def _make_history() -> Callable[..., StudyHistory]:
    return make_history


@pytest.fixture(scope="session")
def view(history: StudyHistory) -> StudyView:
    return StudyView(history)


@pytest.fixture(scope="session")
def other_history() -> StudyHistory:
    """A smaller study to lay over the first."""
    return make_history("resnet20-direct", 20, seed=3)


@pytest.fixture(scope="session")
def odd_histories(history: StudyHistory) -> dict[str, StudyHistory]:
    return make_odd(history)


@pytest.fixture(scope="session")
def odd_views(odd_histories: dict[str, StudyHistory]) -> dict[str, StudyView]:
    return {name: StudyView(odd) for name, odd in odd_histories.items()}

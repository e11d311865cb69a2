"""A small study and network, and stand-ins for what a trial and a study record, for the whole room."""

import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import msgspec
import optuna
import pytest

from ranksearch.layers import LayerSpec, NetworkCost, NetworkSpec, RankConfiguration, Svd, Tucker2, network_cost
from ranksearch.records import (
    DecaySchedule,
    Machine,
    Measurement,
    Recipe,
    StudyRecord,
    TrainingCost,
    TrialRecord,
)
from ranksearch.study import Ledger, StudyFile, open_storage, parse_study, settings

TABLE = {
    "network": {"model": "digits-convnet"},
    "data": {"source": "digits", "search": 500},
    "schedule": {"shape": ["none", "linear"], "end": {"low": 0.2, "high": 0.8}},
    "training": {"lr": {"low": 0.01, "high": 1.0, "log": True}, "images": 6400},
}
MACHINE = Machine(device="cpu", processor="p", threads=1, precision="float32", versions={})


@pytest.fixture(autouse=True)
def _quiet() -> None:
    optuna.logging.set_verbosity(optuna.logging.CRITICAL)


@pytest.fixture
def network() -> NetworkSpec:
    layers = (
        LayerSpec(name="conv1", kind="conv2d", channels_out=16, channels_in=3, kernel=(3, 3), positions_out=64),
        LayerSpec(name="conv2", kind="conv2d", channels_out=32, channels_in=16, kernel=(3, 3), positions_out=64),
        LayerSpec(name="fc", kind="linear", channels_out=10, channels_in=32, bias=True),
    )
    return NetworkSpec(layers=layers, params=sum(s.params for s in layers), macs=sum(s.macs for s in layers))


@pytest.fixture
def allocate(network: NetworkSpec) -> Callable[..., RankConfiguration]:
    """A stand-in for rate–distortion: fewer ranks for a higher ratio and a lower weight, tilted between the modes."""

    def ranks(full: int, ratio: float, weight: float, tilt: float = 0.0) -> int:
        return max(1, min(full - 1, round(full / ratio * 2.0**weight * 2.0**tilt)))

    def allocated(ratio: float, weights: Mapping[str, float], tilts: Mapping[str, float]) -> RankConfiguration:
        w, t = {s.name: weights.get(s.name, 0.0) for s in network.layers}, tilts
        return RankConfiguration(
            {
                "conv1": Tucker2(ranks(16, ratio, w["conv1"], -t.get("conv1", 0.0)), 2),
                "conv2": Tucker2(ranks(32, ratio, w["conv2"]), ranks(16, ratio, w["conv2"], t.get("conv2", 0.0))),
                "fc": Svd(ranks(10, ratio, w["fc"])),
            }
        )

    return allocated


@pytest.fixture
def make_study(tmp_path: Path) -> Callable[..., StudyFile]:
    """A study file's content, changed section by section."""

    def make(**sections: Mapping[str, Any]) -> StudyFile:
        table = {name: {**TABLE.get(name, {}), **sections.get(name, {})} for name in TABLE | sections}
        return parse_study(table, tmp_path / "small.toml")

    return make


@pytest.fixture
def make_record(network: NetworkSpec) -> Callable[..., TrialRecord]:
    """What a trial would have recorded."""

    def make(rank: int = 3, accuracy: float = 0.9, **changes: Any) -> TrialRecord:
        configuration = RankConfiguration({"conv2": Tucker2(rank, rank), "fc": Svd(2)})
        costs: dict[str, NetworkCost] = {f: network_cost(network, configuration, f) for f in ("plain", "pivoted")}
        record = TrialRecord(
            configuration=configuration,
            schedule=DecaySchedule(),
            recipe=Recipe(),
            form="pivoted",
            measured=Measurement(accuracy, 0.1, "search", 500),
            cost=TrainingCost(images=6400, seconds=1.0),
            machine=MACHINE,
            seed=1,
            **costs,
        )
        return msgspec.structs.replace(record, **changes)

    return make


@pytest.fixture
def study_record(network: NetworkSpec, make_study: Callable[..., StudyFile]) -> StudyRecord:
    return StudyRecord(
        name="small",
        network=network,
        form="pivoted",
        objectives=("accuracy", "compression_ratio"),
        dense=Measurement(0.97, 0.0, "search", 500),
        ratio=(1.5, 8.0),
        accuracy_floor=0.0,
        settings=settings(make_study()),
        fingerprint={"weights": "12"},
        splits={"train": 900, "search": 500, "test": 300},
        protocol=("search: 500 images",),
        machine=MACHINE,
    )


@pytest.fixture
def together() -> Callable[..., list[str]]:
    """Runs the same code in several processes that start their work at the same moment; what each printed.

    The code calls ``begin()`` when it is ready.
    """
    begin = "import sys\ndef begin(): print('ready', flush=True); sys.stdin.readline()\n"

    def run(code: str, *arguments: str, number: int) -> list[str]:
        environment = os.environ | {"PYTHONPATH": str(Path(__file__).parents[2]), "OMP_NUM_THREADS": "1"}
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        command = [sys.executable, "-c", begin + code, *arguments]
        processes = [subprocess.Popen(command, env=environment, text=True, **pipes) for _ in range(number)]  # type: ignore[call-overload]
        for process in processes:
            process.stdout.readline()
        for process in processes:
            process.stdin.write("go\n")
            process.stdin.flush()
        results = [process.communicate() for process in processes]
        assert [p.returncode for p in processes] == [0] * number, "\n".join(errors for _, errors in results)
        return [output.strip() for output, _ in results]

    return run


@pytest.fixture
def url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path / 'small.db'}"


@pytest.fixture
def ledger(url: str, study_record: StudyRecord) -> Ledger:
    ledger = Ledger(open_storage(url), "small")
    assert ledger.create(study_record)
    return ledger

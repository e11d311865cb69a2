"""A trained toy network on toy images, study files on it, and the command line in this process or another."""

import json
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from ranksearch import cli
from ranksearch.records import StudyHistory
from ranksearch.runner.session import Session, open_session
from ranksearch.study import opened_file, read_history

FACTORY = """
from torch import nn

def make(width=12):
    return nn.Sequential(
        nn.Conv2d(1, width, 3, padding=1, bias=False), nn.BatchNorm2d(width), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(width, 24, 3, padding=1), nn.ReLU(), nn.AvgPool2d(2), nn.Flatten(), nn.Linear(96, 4),
    )

class Broken(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(10, 4)

    def forward(self, x):
        return self.layer(x.flatten(1))
"""

SECTIONS: dict[str, dict[str, Any]] = {
    "data": {"search": 128, "reestimate": 128},
    "ranks": {"ratio": [1.5, 6.0], "accuracy_floor": 0.3},
    "schedule": {"shape": ["none", "linear"], "end": {"low": 0.2, "high": 0.8}},
    "training": {"images": 512, "batch": 64, "lr": {"low": 0.005, "high": 0.1, "log": True}},
    "search": {"trials": 4, "baselines": [], "device": "cpu"},
}


def images(number: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Noisy 8×8 images with a bar: upright or lying, left/top or right/bottom."""
    generator = np.random.default_rng(seed)
    labels = np.arange(number) % 4
    x = 0.4 * generator.standard_normal((number, 1, 8, 8)).astype(np.float32)
    for image, label in zip(x, labels, strict=True):
        at = generator.integers(0, 3) + (label % 2) * 5
        image[0][(slice(None), at) if label < 2 else (at, slice(None))] += 1
    return x, labels


@pytest.fixture(scope="session")
def ground(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder with ``bars_train.npz``, ``bars_test.npz``, the module ``barnet`` and its trained ``barnet.pt``."""
    folder = tmp_path_factory.mktemp("ground")
    for part, number, seed in (("train", 640, 0), ("test", 128, 1)):
        x, y = images(number, seed)
        np.savez(folder / f"bars_{part}.npz", x=x, y=y)
    (folder / "barnet.py").write_text(FACTORY)
    sys.path.insert(0, str(folder))
    import barnet

    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = barnet.make()
        inputs, labels = (torch.from_numpy(a) for a in images(640, 0))
        optimizer = torch.optim.Adam(network.parameters(), 0.01)
        for _ in range(40):
            optimizer.zero_grad()
            nn.functional.cross_entropy(network(inputs), labels).backward()
            optimizer.step()
    torch.save(network.state_dict(), folder / "barnet.pt")
    yield folder
    sys.path.remove(str(folder))


Write = Callable[..., Path]


@pytest.fixture(scope="session")
def write_study(ground: Path) -> Write:
    """(folder, section={key: value} …) → a study file on the toy network; a value None leaves the key out."""
    network = {"model": "barnet:make", "weights": str(ground / "barnet.pt")}
    base = SECTIONS | {"network": network, "data": {"source": f"npz:{ground / 'bars'}", **SECTIONS["data"]}}

    def write(folder: Path, **changes: dict[str, Any]) -> Path:
        lines = []
        for section in base | changes:
            entries = base.get(section, {}) | changes.get(section, {})
            lines += [f"[{section}]", *(f"{k} = {_toml(v)}" for k, v in entries.items() if v is not None)]
        path = folder / "bars.toml"
        path.write_text("\n".join(lines) + "\n")
        return path

    return write


def _toml(value: Any) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f"{k} = {_toml(v)}" for k, v in value.items()) + "}"
    return json.dumps(value)


@pytest.fixture
def write(tmp_path: Path, write_study: Write) -> Write:
    """As :func:`write_study`, in the test's own folder."""
    return lambda **changes: write_study(tmp_path, **changes)


@dataclass(frozen=True)
class Left:
    """How a command left: exit code and what it printed."""

    code: int
    out: str
    err: str


@pytest.fixture
def ranksearch(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Iterator[Callable[..., Left]]:
    """The command line, in this process."""
    handlers, path = {s: signal.getsignal(s) for s in (signal.SIGTERM, signal.SIGUSR1)}, list(sys.path)

    def run(*arguments: object) -> Left:
        monkeypatch.setattr(sys, "argv", ["ranksearch", *map(str, arguments)])
        capsys.readouterr()
        with pytest.raises(SystemExit) as left:
            cli.main()
        return Left(int(left.value.code or 0), *capsys.readouterr())

    yield run
    for number, handler in handlers.items():
        signal.signal(number, handler)
    sys.path[:] = path


@pytest.fixture
def start(ground: Path) -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """The command line, in another process; none outlives the test."""
    started: list[subprocess.Popen[str]] = []

    def run(*arguments: object) -> subprocess.Popen[str]:
        command = [sys.executable, "-m", "ranksearch", *map(str, arguments)]
        process = subprocess.Popen(command, cwd=ground, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        started.append(process)
        return process

    yield run
    for process in started:
        process.kill()
        process.communicate()


@pytest.fixture
def history_of() -> Callable[[Path], StudyHistory]:
    """Everything in a study's storage."""
    return lambda path: read_history(opened_file(path, {}))


@pytest.fixture(scope="session")
def session(tmp_path_factory: pytest.TempPathFactory, write_study: Write) -> Session:
    """A study that was opened and never made; for trials without a ledger."""
    return open_session(opened_file(write_study(tmp_path_factory.mktemp("session")), {}))

"""Checkpoints are whole, are read without pickle, and are refused by another run."""

from pathlib import Path

import pytest
import torch
from torch import nn

from ranksearch.errors import StudyChangedError, WeightsError
from ranksearch.progressive.training_state import Progress, load_state, save_state
from ranksearch.records import Milestone

RUN = {"recipe": "{}", "seed": "1"}


def made() -> tuple[nn.Module, torch.optim.Optimizer]:
    network = nn.Sequential(nn.Conv2d(2, 2, 3), nn.BatchNorm2d(2))
    optimizer = torch.optim.SGD(network.parameters(), lr=0.1, momentum=0.9)
    network(torch.randn(2, 2, 5, 5)).square().sum().backward()
    optimizer.step()
    return network, optimizer


def test_round_trip(tmp_path: Path) -> None:
    network, optimizer = made()
    progress = Progress(7, 1.5, [Milestone(10, 0.5, 1.0), Milestone(20, 0.0, 0.5, 0.8)], 0.25, 3, 12.0)
    save_state(tmp_path / "run" / "a.checkpoint", RUN, progress, network, optimizer)
    other, its_optimizer = made()
    assert load_state(tmp_path / "run" / "a.checkpoint", RUN, other, its_optimizer) == progress
    assert all(
        torch.equal(a, b) for a, b in zip(network.state_dict().values(), other.state_dict().values(), strict=True)
    )
    buffers = [[s["momentum_buffer"] for s in o.state_dict()["state"].values()] for o in (optimizer, its_optimizer)]
    assert all(torch.equal(a, b) for a, b in zip(*buffers, strict=True))
    assert [path.name for path in (tmp_path / "run").iterdir()] == ["a.checkpoint"]


def test_of_another_run_is_refused_with_what_differs(tmp_path: Path) -> None:
    network, optimizer = made()
    save_state(tmp_path / "a", RUN, Progress(), network, optimizer)
    with pytest.raises(StudyChangedError, match="seed was 1, is 2; delete it to start anew"):
        load_state(tmp_path / "a", RUN | {"seed": "2"}, network, optimizer)


@pytest.mark.parametrize("content", [b"", b"no checkpoint", b"PK\x03\x04 cut short"])
def test_corrupt_is_named(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a").write_bytes(content)
    with pytest.raises(WeightsError, match="/a: not a readable training checkpoint") as caught:
        load_state(tmp_path / "a", RUN, *made())
    assert "\n" not in str(caught.value)


def test_cut_short_or_foreign_is_named(tmp_path: Path) -> None:
    network, optimizer = made()
    save_state(tmp_path / "a", RUN, Progress(), network, optimizer)
    (tmp_path / "a").write_bytes((tmp_path / "a").read_bytes()[:-200])
    torch.save(network.state_dict(), tmp_path / "b")
    torch.save(network, tmp_path / "c")  # a pickled module: not even opened
    for name in "abc":
        with pytest.raises(WeightsError, match=f"/{name}: not a readable training checkpoint"):
            load_state(tmp_path / name, RUN, network, optimizer)


def test_a_failed_write_leaves_the_old_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    network, optimizer = made()
    save_state(tmp_path / "a", RUN, Progress(step=1), network, optimizer)

    def dies(state: object, path: Path) -> None:
        path.write_bytes(b"half")
        raise OSError("disk full")

    monkeypatch.setattr(torch, "save", dies)
    with pytest.raises(OSError, match="disk full"):
        save_state(tmp_path / "a", RUN, Progress(step=2), network, optimizer)
    assert load_state(tmp_path / "a", RUN, network, optimizer).step == 1

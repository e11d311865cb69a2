"""What a command may ask of a launcher, and what is refused before anything is computed."""

import sys
from collections.abc import Callable
from typing import Any

import pytest

from ranksearch.launch.placement import LauncherError, Placement, size

Command = Callable[..., Any]


@pytest.mark.parametrize(
    ("options", "law"),
    [
        ({"cpus": 2.0, "address": "auto"}, "--address, --cpus-per-worker given: local workers share out"),
        ({"launcher": "ray", "cpus": 0.0}, "--cpus-per-worker = 0 must be positive"),
        ({"launcher": "ray", "gpus": 1.5}, "--gpus-per-worker = 1.5 must be a fraction of one GPU, or a whole number"),
        ({"launcher": "ray", "gpus": -1.0}, "--gpus-per-worker = -1 must be"),
        ({"launcher": "ray", "address": "ray://head:10001"}, "Ray Client is not spoken"),
    ],
)
def test_what_no_launcher_gives(options: dict[str, Any], law: str) -> None:
    with pytest.raises(LauncherError, match=law):
        Placement(**options)


def test_what_a_worker_takes() -> None:
    assert Placement("ray").resources == {"CPU": 1}
    assert Placement("ray", cpus=4, gpus=0.5, memory=2**30).resources == {"CPU": 4, "GPU": 0.5, "memory": 2**30}


@pytest.mark.parametrize("text", ["", "0", "4 GiBs", "-1GB", "GiB"])
def test_what_is_no_size(text: str) -> None:
    with pytest.raises(LauncherError, match="must be a size such as 4GiB"):
        size(text)


def test_the_cluster_that_a_job_was_sent_to(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAY_ADDRESS", "10.0.0.1:6379")
    assert (Placement("ray").cluster, Placement("ray", "head:6379").cluster) == ("10.0.0.1:6379", "head:6379")
    assert Placement("ray", "local").cluster is None
    assert Placement().launcher == "local"  # and is not refused for what the environment says


@pytest.mark.parametrize(
    ("options", "law"),
    [
        (["--gpus-per-worker", 1], "add --launcher ray, or leave it out"),
        (["--launcher", "ray", "--address", "127.0.0.1:1"], "no Ray at 127.0.0.1:1: ConnectionRefusedError"),
        (["--launcher", "ray"], '--launcher ray needs Ray, which is not installed: pip install "ranksearch[ray]"'),
    ],
)
def test_refused_at_once(
    options: list[object], law: str, write: Command, ranksearch: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    for variable in ("RAY_AUTH_MODE", "RAY_AUTH_TOKEN", "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER", "RAY_ADDRESS"):
        monkeypatch.setenv(variable, "")
    path = write()
    left = ranksearch("search", path, *options)
    assert (left.code, left.out) == (2, "")
    assert law in left.err
    assert not path.with_suffix(".db").exists()

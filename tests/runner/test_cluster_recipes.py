"""The recipes under studies/cluster: what a scheduler does with each way that a worker leaves."""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from ranksearch.errors import RanksearchError

RECIPES = Path(__file__).parents[2] / "studies" / "cluster"

Command = Callable[..., Any]


def validator(program: str) -> str:
    """Its path; the test is skipped where it is not installed, which in CI is a failure."""
    path = shutil.which(program, path=f"{Path(sys.executable).parent}:{os.environ['PATH']}")
    if path is None:
        (pytest.fail if os.environ.get("CI") else pytest.skip)(f"{program} is not installed")
    return path


def accepts(command: list[str], recipe: str, tmp_path: Path, misspelt: tuple[str, str]) -> None:
    """The validator takes the recipe and refuses it misspelt, by the word."""
    text = (RECIPES / recipe).read_text()
    assert misspelt[0] in text
    for content, refused in ((text, False), (text.replace(*misspelt), True)):
        (tmp_path / recipe).write_text(content)
        left = subprocess.run([*command], cwd=tmp_path, capture_output=True, text=True)
        assert (left.returncode != 0) == refused, left.stderr
    assert f"'{misspelt[1]}'" in left.stderr + left.stdout


@pytest.fixture
def batch(tmp_path: Path) -> Callable[..., subprocess.Popen[str]]:
    """Starts slurm.sbatch as task 3 of array 7, its worker a script; what it requeues stands in ``requeued``."""

    def run(script: str, state: str = "RUNNING", restarts: int = 0) -> subprocess.Popen[str]:
        programs = {"ranksearch": script, "squeue": f"echo {state}", "scontrol": f'echo "$@" > {tmp_path}/requeued'}
        for name, does in programs.items():
            (tmp_path / name).write_text(f"#!/bin/bash\n{does}\n")
            (tmp_path / name).chmod(0o755)
        task = {"SLURM_ARRAY_JOB_ID": "7", "SLURM_ARRAY_TASK_ID": "3", "SLURM_RESTART_COUNT": str(restarts)}
        environment = os.environ | task | {"PATH": f"{tmp_path}:{os.environ['PATH']}"}
        command = ["bash", str(RECIPES / "slurm.sbatch"), "my.toml"]
        return subprocess.Popen(command, env=environment, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE)

    return run


@pytest.mark.parametrize(
    ("leaves", "code", "again"),
    [
        ("exit 0", 0, False),
        ("exit 1", 1, False),
        ("exit 2", 2, False),
        ("exit 75", 75, True),
        ("exit 143", 143, True),
        ("kill -KILL $$", 137, True),
    ],
)
def test_slurm_requeues_whom_another_try_may_help(
    leaves: str, code: int, again: bool, batch: Command, tmp_path: Path
) -> None:
    process = batch(f'[ "$*" = "worker my.toml" ] && {leaves}')
    process.communicate(timeout=60)
    assert process.returncode == code
    asked = tmp_path / "requeued"
    assert (asked.read_text() if asked.exists() else "") == ("requeue 7_3\n" if again else "")


@pytest.mark.parametrize(("state", "restarts"), [("COMPLETING", 0), ("", 0), ("RUNNING", 50)])
def test_slurm_requeues_nobody_who_was_cancelled_or_dies_for_ever(
    state: str, restarts: int, batch: Command, tmp_path: Path
) -> None:
    process = batch("exit 143", state, restarts)
    process.communicate(timeout=60)
    assert process.returncode == 143
    assert not (tmp_path / "requeued").exists()


def test_slurms_notice_reaches_the_worker_which_is_waited_for(batch: Command, tmp_path: Path) -> None:
    process = batch("trap 'sleep 1; echo handed back; exit 143' TERM; echo at work; while :; do sleep 0.1; done")
    assert process.stdout.readline() == "at work\n"
    process.terminate()
    out, _ = process.communicate(timeout=60)
    assert (process.returncode, out) == (143, "handed back\n")
    assert (tmp_path / "requeued").read_text() == "requeue 7_3\n"


def test_kubernetes_takes_the_job_and_refuses_a_misspelt_one(tmp_path: Path) -> None:
    command = [validator("kubernetes-validate"), "--strict", "kubernetes.yaml"]
    accepts(command, "kubernetes.yaml", tmp_path, ("backoffLimitPerIndex", "backofLimitPerIndex"))


def test_kubernetes_gives_up_a_worker_that_was_refused_and_no_other() -> None:
    job = yaml.safe_load((RECIPES / "kubernetes.yaml").read_text())["spec"]
    (container,) = job["template"]["spec"]["containers"]
    ignored, fatal = job["podFailurePolicy"]["rules"]
    assert ignored == {"action": "Ignore", "onPodConditions": [{"type": "DisruptionTarget"}]}
    codes = {"containerName": container["name"], "operator": "In", "values": [RanksearchError.exit_code]}
    assert fatal == {"action": "FailIndex", "onExitCodes": codes}


def test_compose_takes_the_services_and_refuses_a_misspelt_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STUDY", "my.toml")
    command = [validator("docker-compose"), "--file", "compose.yaml", "config"]
    accepts(command, "compose.yaml", tmp_path, ("healthcheck", "healthchek"))


def test_the_database_is_published_on_loopback_only() -> None:
    services = yaml.safe_load((RECIPES / "compose.yaml").read_text())["services"]
    published = [port for service in services.values() for port in service.get("ports", [])]
    assert published == ["127.0.0.1:5432:5432"]

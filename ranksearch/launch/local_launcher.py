"""Local workers: N processes on this machine that share out its cores, each ``ranksearch worker STUDY``."""

import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from rich.console import Console

from ..study import StudyFile
from .placement import GRACE, Left, Placement, Polled, Start


@contextmanager
def local_launcher(study: StudyFile, placement: Placement, console: Console) -> Iterator[Start]:
    """Starts workers here, that leave when this process does, however; the storage goes through the environment, where
    a password does not show."""
    processes: list[subprocess.Popen[bytes]] = []

    def start(number: int, overrides: Mapping[str, Any]) -> Polled:
        options = [word for key, value in overrides.items() for word in (f"--{key}", str(value))]
        command = [
            sys.executable,
            "-m",
            "ranksearch",
            "worker",
            str(study.path),
            "--share",
            str(number),
            "--tied",
            "--quiet",
        ]
        environment = os.environ | {"RANKSEARCH_STORAGE": study.storage_url}
        for _ in range(number):
            processes.append(subprocess.Popen([*command, *options], env=environment, stdin=subprocess.PIPE))
        return lambda: [None if (code := process.poll()) is None else Left(code) for process in processes]

    try:
        yield start
    finally:
        for process in processes:
            if process.poll() is None:
                process.terminate()
        for process in processes:
            try:
                process.wait(GRACE)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()

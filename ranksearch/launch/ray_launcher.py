"""Workers on a Ray cluster: long-lived slots, each one task whose process is the worker; no data goes through Ray."""

import os
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from rich.console import Console

from ..errors import RanksearchError, StorageError, describe
from ..study import StudyFile, opened_file, sqlite_file
from .placement import GRACE, LauncherError, Left, Placement, Polled, Start
from .ray_cluster import connected, listed, nodes, room

RESTARTS = 20  # of a slot whose process or node died; the database counts by itself how often a trial may be lost


@contextmanager
def ray_launcher(study: StudyFile, placement: Placement, console: Console) -> Iterator[Start]:
    """Starts workers as tasks of a Ray cluster, which restarts them, and starts those that wait as nodes join.

    Raises:
        LauncherError: Ray is not installed or not there, SQLite on several nodes, or this machine holds no worker.
    """
    needs = placement.resources
    with connected(placement.cluster) as ray:
        there = nodes(ray)
        if len(there) > 1 and _is_sqlite(study):
            raise LauncherError(
                f"the Ray cluster has {len(there)} nodes, and search.storage = {study.search.storage!r} is SQLite, "
                "which is for one machine; give them a server's: --storage postgresql://USER@HOST/DATABASE"
            )
        if not placement.cluster and not room(needs, there):
            raise LauncherError(f"no worker of {listed(needs)} fits this machine, of {listed(there[0])}")
        slots: list[Any] = []

        def start(number: int, overrides: Mapping[str, Any]) -> Polled:
            if (holds := room(needs, nodes(ray))) < number:
                told = (
                    f"Ray has room for {holds} of {number} workers of {listed(needs)}; the others start as nodes join"
                )
                console.print(f"{told} or workers leave", soft_wrap=True)
            device = {} if "GPU" in needs else {"device": "cpu"}  # from a task that asks for no GPU, Ray hides none
            until = time.time() + 60 * overrides["minutes"] if "minutes" in overrides else None
            told_to = str(study.path.resolve()), study.storage_url, {**device, **overrides}, int(needs["CPU"]), until
            work = ray.remote(
                num_cpus=needs["CPU"],
                num_gpus=needs.get("GPU", 0),
                memory=needs.get("memory"),
                max_calls=1,
                max_retries=RESTARTS,
                retry_exceptions=[StorageError],
                scheduling_strategy=_strategy(ray, study),
            )(work_in_slot)
            slots.extend(work.remote(*told_to) for _ in range(number))
            return lambda: _left(ray, slots)

        try:
            yield start
        finally:
            _stop(ray, slots)


def work_in_slot(path: str, url: str, overrides: Mapping[str, Any], cpus: int, until: float | None) -> tuple[int, str]:
    """A worker, in the process of a Ray task; interrupted, it hands its trial back.

    Args:
        path: of the study file, in a folder that the nodes share.
        url: of the storage; given here, it stands in no environment that a dashboard shows.
        overrides: entries of ``[search]``.
        cpus: threads.
        until: when the time is over, in seconds since 1970; a slot may start late, and again.

    Returns:
        How it left: what was refused is final.

    Raises:
        StorageError: the storage is out of reach; Ray starts the slot again.
    """
    from ..runner.running import work_on  # torch: for workers, not for who sends them

    os.environ["RANKSEARCH_STORAGE"] = url  # which the file may ask for
    minutes = max(0.01, until - time.time()) / 60 if until else None
    try:
        study = opened_file(Path(path), {**overrides, "minutes": minutes, "storage": url})
        work_on(study, cpus=max(1, cpus), share=1, device=None, console=Console(quiet=True))
    except StorageError:
        raise
    except RanksearchError as refused:
        return refused.exit_code, str(refused)
    return 0, ""


def _is_sqlite(study: StudyFile) -> bool:
    return sqlite_file(study.storage_url) is not None


def _strategy(ray: Any, study: StudyFile) -> Any:
    """Over the nodes; with SQLite on this one, though others join."""
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    here = ray.get_runtime_context().get_node_id()
    return NodeAffinitySchedulingStrategy(here, soft=False) if _is_sqlite(study) else "SPREAD"


def _left(ray: Any, slots: Sequence[Any]) -> list[Left | None]:
    done, _ = ray.wait(slots, num_returns=len(slots), timeout=0)
    return [_outcome(ray, slot) if slot in done else None for slot in slots]


def _outcome(ray: Any, slot: Any) -> Left:
    try:
        return Left(*ray.get(slot))
    except StorageError as error:  # time and again
        return Left(error.exit_code, str(error))
    except ray.exceptions.RayError as error:
        return Left(1, describe(getattr(error, "cause", error)))


def _stop(ray: Any, slots: Sequence[Any]) -> None:
    """Interrupts the workers that are left, and waits while they hand their trials back."""
    working = [slot for slot, left in zip(slots, _left(ray, slots), strict=True) if left is None] if slots else []
    for slot in working:
        ray.cancel(slot)
    if working:
        _, late = ray.wait(working, num_returns=len(working), timeout=GRACE)
        for slot in late:
            ray.cancel(slot, force=True)

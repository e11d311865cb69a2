"""A Ray cluster: the one at an address, or one of this machine that ends with the search; and the room it has."""

import logging
import os
import secrets
import signal
import socket
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from ..errors import describe
from ..subject.threads import granted_cores
from .placement import LauncherError

Resources = Mapping[str, float]  # by Ray's names: CPU, GPU, memory (bytes)

OBJECT_STORE = 80 * 2**20  # bytes, near the least that Ray takes: nothing is stored there
REMEDY = "does `ray start` run on this machine, too? Without --address, a Ray of its own is started here"

#: of the Ray that is started here: it listens on this machine only, and writes no token into the user's home
PRIVATE = {"RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0", "RAY_AUTH_MODE": "token"}


@contextmanager
def connected(address: str | None) -> Iterator[Any]:
    """The module ``ray``, connected; without telemetry.

    Args:
        address: HOST:PORT of a cluster that this machine is a node of, or ``"auto"``; None starts one here, with the
            cores granted to this process.

    Raises:
        LauncherError: Ray is not installed, not there, or refuses.
    """
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    os.environ["RAY_ENABLE_UV_RUN_RUNTIME_ENV"] = "0"
    options: dict[str, Any] = {"address": address or "local", "log_to_driver": False, "logging_level": logging.ERROR}
    if address:
        _require_answer(address)
    else:
        os.environ.update(PRIVATE)
        os.environ.setdefault("RAY_AUTH_TOKEN", secrets.token_hex(16))
        options |= {"num_cpus": granted_cores(), "object_store_memory": OBJECT_STORE, "include_dashboard": False}
    try:
        import ray
    except ImportError:
        raise LauncherError('--launcher ray needs Ray, which is not installed: pip install "ranksearch[ray]"') from None
    handler = signal.getsignal(signal.SIGTERM)
    try:
        ray.init(**options)
    except (ConnectionError, RuntimeError, ValueError, ray.exceptions.RayError) as error:
        raise LauncherError(f"no Ray at {address or 'this machine'}: {describe(error)}; {REMEDY}") from None
    finally:
        signal.signal(signal.SIGTERM, handler)  # Ray leaves with a code of its own
    try:
        yield ray
    finally:
        ray.shutdown()


def _require_answer(address: str) -> None:
    """Raises :class:`LauncherError` where nobody listens at HOST:PORT; Ray itself would try for minutes."""
    host, _, port = address.rpartition(":")
    if not host:
        return
    try:
        socket.create_connection((host, int(port)), timeout=10).close()
    except (OSError, ValueError) as error:
        raise LauncherError(f"no Ray at {address}: {describe(error)}; {REMEDY}") from None


def nodes(ray: Any) -> list[Resources]:
    """What each living node has."""
    return [node["Resources"] for node in ray.nodes() if node["Alive"]]


def room(needs: Resources, on: Sequence[Resources]) -> int:
    """How many workers the nodes hold at once.

    >>> room({"CPU": 2, "GPU": 0.5}, [{"CPU": 16, "GPU": 1}, {"CPU": 3, "GPU": 4}, {"CPU": 64}])
    3
    """
    return sum(min(int(node.get(key, 0) / amount) for key, amount in needs.items()) for node in on)


def listed(resources: Resources) -> str:
    """Resources for a reader.

    >>> listed({"CPU": 1.0, "GPU": 0.5, "memory": 4 * 2**30, "node:10.0.0.1": 1.0})
    '1 CPU, 0.5 GPU, 4 GiB of memory'
    """
    named = {"CPU": (1, "CPU"), "GPU": (1, "GPU"), "memory": (2**30, "GiB of memory")}
    return ", ".join(f"{resources[key] / unit:.4g} {name}" for key, (unit, name) in named.items() if key in resources)

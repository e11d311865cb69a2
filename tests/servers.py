"""Servers for tests: a MariaDB and a PgBouncer, each in a folder of its own and on loopback."""

import getpass
import os
import shutil
import socket
import subprocess
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pymysql

PLACES = os.pathsep.join([os.environ.get("PATH", ""), "/usr/sbin", "/usr/local/sbin"])  # where Debian puts daemons


def program(name: str) -> str:
    """The path of an installed program.

    Raises:
        FileNotFoundError: it is not installed.
    """
    found = shutil.which(name, path=PLACES)
    if found is None:
        raise FileNotFoundError(f"{name} is not installed")
    return found


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


def wait_until(ready: Callable[[], object], process: subprocess.Popen[bytes], log: Path) -> None:
    """Returns once ``ready`` raises no OSError and no error of the driver; half a minute at most."""
    until = time.monotonic() + 30
    while True:
        try:
            ready()
            return
        except (OSError, pymysql.err.Error) as error:
            if process.poll() is not None or time.monotonic() > until:
                raise RuntimeError(f"{process.args} does not run: {log.read_text()}") from error
            time.sleep(0.05)


class MariaDB:
    """A MariaDB with its compiled-in settings, whatever the machine's; ``root`` has no password."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.port, self.socket = folder, free_port(), folder / "socket"
        self._process: subprocess.Popen[bytes] | None = None
        self._settings = ["--no-defaults", f"--datadir={folder / 'data'}", f"--user={getpass.getuser()}"]
        install = [program("mariadb-install-db"), *self._settings, "--auth-root-authentication-method=normal"]
        subprocess.run([*install, "--skip-test-db"], check=True, capture_output=True)
        self.start()

    def start(self) -> None:
        settings = [*self._settings, f"--socket={self.socket}", "--bind-address=127.0.0.1", f"--port={self.port}"]
        log = self.folder / "log"
        with log.open("ab") as written:
            self._process = subprocess.Popen([program("mariadbd"), *settings], stdout=written, stderr=written)
        wait_until(lambda: self.sql("SELECT 1"), self._process, log)

    def stop(self) -> None:
        if self._process:
            self._process.terminate()
            self._process.wait(60)

    def sql(self, *statements: str) -> None:
        with pymysql.connect(user="root", unix_socket=str(self.socket)) as connection:
            for statement in statements:
                connection.cursor().execute(statement)

    def url(self, database: str) -> str:
        return f"mysql://root@/{database}?unix_socket={self.socket}"


class PgBouncer:
    """A PgBouncer that lends two connections to each database of a PostgreSQL out, a transaction at a time."""

    def __init__(self, folder: Path, server: str) -> None:
        """``server``: the folder of PostgreSQL's Unix socket, as whose owner it runs where root starts it."""
        self.port, log = free_port(), folder / "log"
        settings = folder / "pgbouncer.ini"
        settings.write_text(
            f"[databases]\n* = host={server} user=postgres\n[pgbouncer]\nlisten_addr = 127.0.0.1\n"
            f"listen_port = {self.port}\nunix_socket_dir =\nauth_type = any\npool_mode = transaction\n"
            "default_pool_size = 2\n"
        )
        user = ["-u", Path(server).owner()] if os.geteuid() == 0 else []  # it refuses to run as root
        with log.open("wb") as written:
            command = [program("pgbouncer"), *user, str(settings)]
            self._process = subprocess.Popen(command, stdout=written, stderr=written)
        wait_until(lambda: socket.create_connection(("127.0.0.1", self.port)).close(), self._process, log)

    def stop(self) -> None:
        with suppress(ProcessLookupError):
            self._process.kill()
        self._process.wait(60)

    def url(self, database: str) -> str:
        return f"postgresql://postgres@127.0.0.1:{self.port}/{database}"

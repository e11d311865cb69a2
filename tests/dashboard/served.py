"""A dashboard in a process of its own, and trials for it to show."""

import http.client
import json
import signal
import subprocess
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

import msgspec
from optuna.distributions import FloatDistribution
from optuna.trial import create_trial

from ranksearch.records import TrialRecord
from ranksearch.study import Ledger


def add(ledger: Ledger, record: TrialRecord) -> None:
    """Books a finished trial of the search, with one variable: the weight of its first layer."""
    variable = f"weight/{next(iter(record.configuration.layers))}"
    ledger.study().add_trial(
        create_trial(
            values=list(ledger.values(record)),
            params={variable: record.measured.accuracy},
            distributions={variable: FloatDistribution(0, 1)},
            user_attrs={"record": msgspec.to_builtins(record)},
        )
    )


class Served:
    """A dashboard in a process of its own, on a free port."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process
        assert process.stdout
        assert process.stderr
        self.before, line = "", process.stdout.readline()
        while line and not line.startswith("dashboard at http://"):
            self.before, line = self.before + line, process.stdout.readline()
        assert line, self.before + process.stderr.read()
        self.url = line.split()[2].rstrip(";")
        self.port = urlsplit(self.url).port

    def ask(
        self, method: str, path: str, body: str | None = None, **headers: str
    ) -> tuple[int, Mapping[str, str], str]:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        connection.request(method, path, body, {name.replace("_", "-"): value for name, value in headers.items()})
        answer = connection.getresponse()
        return answer.status, answer.headers, answer.read().decode()

    def read(self, path: str) -> Any:
        status, _, body = self.ask("GET", path)
        assert status == 200, body
        return json.loads(body)

    def end(self, how: signal.Signals = signal.SIGTERM) -> str:
        """What it printed after its address."""
        assert self.process.stdout
        assert self.process.stderr
        self.process.send_signal(how)
        # `communicate` would pass over the lines that came with the address and wait in this stream's buffer
        out, err = self.process.stdout.read(), self.process.stderr.read()
        assert (self.process.wait(timeout=30), err) == (0, ""), err
        return out

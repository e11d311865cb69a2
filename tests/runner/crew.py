"""Worker processes of one study that are killed, stopped and frozen, and replaced as an engine would."""

import os
import random
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from ranksearch.errors import StorageError
from ranksearch.study import Ledger, open_storage

#: what is minutes in the product is seconds here: no test outlasts a grace of five minutes
SHORTER = {
    "HEARTBEAT": 2,
    "GRACE": 15,
    "PATIENCE": 10.0,
    "LONGEST_PAUSE": 1.0,
    "DEADLINE": 4.0,
    "HELD": 3.0,
}

LEAST = 5  # seconds of a trial, on a machine of any speed, so that all faults come while there is work left

WORKER = f"""
import sys, time
from pathlib import Path
import ranksearch.runner.worker
import ranksearch.study
begin, run_trial = Path(sys.argv[2]).with_name("begin"), ranksearch.runner.worker.run_trial
def run_slowly(*arguments, **named):
    while not begin.exists():
        time.sleep(0.1)
    time.sleep({LEAST})
    return run_trial(*arguments, **named)
ranksearch.runner.worker.run_trial = run_slowly
for name, module in list(sys.modules.items()):
    for constant, seconds in {SHORTER}.items():
        if name.startswith("ranksearch.study.") and hasattr(module, constant):
            setattr(module, constant, seconds)
sys.modules["ranksearch.study.storage"].CONNECTIONS["postgresql+psycopg"]["connect_timeout"] = 2
from ranksearch.cli import main
main()
"""

HURRIED = (sys.executable, "-c", WORKER)
UNHURRIED = (sys.executable, "-m", "ranksearch")

GRACE = SHORTER["GRACE"] + 3 * SHORTER["HEARTBEAT"]  # after which another worker has taken a frozen one's trial
PATIENCE = 400  # seconds within which some trial finishes, whatever happens to the workers
RESTARTED = (-signal.SIGKILL, StorageError.exit_code)  # exit codes after which an engine starts another worker
PRINTED = re.compile(r"^trial (\d+): \d+/\d+  ([\d.]+%) at ", re.MULTILINE)


class Crew:
    """Workers of one study, and what is done to them.

    Args:
        path: study file.
        url: by which the workers reach the database.
        direct: by which this process does, whatever happens on the way of the others.
        ground: where the workers run, and find the network's module.
        program: as which they run, :data:`HURRIED` or :data:`UNHURRIED`.
        chance: decides who is hit.
    """

    def __init__(
        self, path: Path, url: str, direct: str, ground: Path, chance: random.Random, program: tuple[str, ...]
    ) -> None:
        self.path, self.ground, self.chance, self.program = path, ground, chance, program
        self.environment = os.environ | {"RANKSEARCH_STORAGE": url, "OMP_NUM_THREADS": "1"}
        self.ledger = Ledger(open_storage(direct), path.stem)
        self.processes: list[subprocess.Popen[bytes]] = []
        self.frozen: set[int] = set()
        self.told: set[int] = set()  # to stop: on the way out, which may take a while, nothing else is done to them
        self.codes: dict[int, int] = {}  # of those that left, by process number

    def begin(self) -> None:
        """Lets the trials go on that all hurried workers hold in the beginning."""
        self.path.with_name("begin").touch()

    def start(self, number: int = 1) -> None:
        for _ in range(number):
            command = [*self.program, "worker", str(self.path), "--cpus", "1"]
            log = self.path.with_name(f"worker-{len(self.processes)}.log")
            with log.open("wb") as output:
                self.processes.append(
                    subprocess.Popen(command, cwd=self.ground, env=self.environment, stdout=output, stderr=output)
                )

    @property
    def alive(self) -> list[subprocess.Popen[bytes]]:
        return [p for p in self.processes if p.pid not in self.codes]

    def look(self) -> None:
        """What an engine does every moment: replaces those that were killed, and those that may be tried again."""
        for process in self.alive:
            code = process.poll()
            if code is None:
                continue
            self.codes[process.pid] = code
            known = code in (0, 128 + signal.SIGTERM, *RESTARTED)
            assert known, f"exit code {code}:\n{self.log(process)[-3000:]}"
            if code in RESTARTED:
                self.start()

    def until(self, condition: Callable[[], bool]) -> None:
        """Looks after the workers until the condition holds, or no trial finishes any more: a busy machine is slow."""
        finished, since = 0, time.monotonic()
        while not condition():
            if time.monotonic() > since + PATIENCE:
                counts = self.ledger.counts()
                logs = "\n".join(self.log(p)[-500:] for p in self.alive)
                assert counts.finished > finished, f"{counts}, none more in {PATIENCE} s; {self.codes}\n{logs}"
                finished, since = counts.finished, time.monotonic()
            self.look()
            time.sleep(0.2)

    def rest(self, seconds: float) -> None:
        """So long nothing new happens to them."""
        until = time.monotonic() + seconds
        self.until(lambda: time.monotonic() > until)

    def log(self, process: subprocess.Popen[bytes]) -> str:
        return self.path.with_name(f"worker-{self.processes.index(process)}.log").read_text()

    @property
    def printed(self) -> list[tuple[int, str]]:
        """Number and accuracy of each trial that a worker said it finished."""
        lines = [line for p in self.processes for line in PRINTED.findall(self.log(p))]
        return [(int(number), accuracy) for number, accuracy in lines]

    def running(self) -> dict[int, int]:
        """Process → the trial that it is in the middle of."""
        at_work = self.ledger.at_work()
        return {one.worker.pid: one.number for one in at_work if one.worker and one.seconds > 0.3}

    def freeze(self) -> tuple[subprocess.Popen[bytes], int]:
        """Freezes a worker in mid-trial, any one; returns it, and its trial."""
        found: list[tuple[subprocess.Popen[bytes], int]] = []

        def caught() -> bool:
            running = self.running()
            able = [p for p in self.alive if p.pid in running and p.pid not in self.frozen | self.told]
            if not able:
                return False
            process = self.chance.choice(able)
            process.send_signal(signal.SIGSTOP)
            time.sleep(0.1)  # what it had sent is done by now
            if self.running().get(process.pid) == running[process.pid]:
                self.frozen.add(process.pid)
                found.append((process, running[process.pid]))
                return True
            process.send_signal(signal.SIGCONT)  # its trial had come to its end
            return False

        self.until(caught)
        return found[0]

    def wake(self, process: subprocess.Popen[bytes]) -> None:
        self.frozen.discard(process.pid)
        process.send_signal(signal.SIGCONT)

    def kill(self) -> None:
        """SIGKILL in mid-trial."""
        process, _ = self.freeze()
        process.kill()

    def terminate(self) -> None:
        """SIGTERM in mid-trial."""
        process, _ = self.freeze()
        process.terminate()
        self.told.add(process.pid)
        self.wake(process)

    def end(self) -> None:
        """No worker outlives the test."""
        for process in self.alive:
            process.kill()
            process.wait()

"""The fault tests again and again, with other faults at other moments each time, to the first violation.

    python tests/benchmarks/fault_rounds.py ROUNDS [--from SEED] [-k EXPRESSION]

One line per test: what seeded the faults, trials, retries, seconds, exit codes of the workers.
"""

import argparse
import os
import subprocess
import sys
from pathlib import Path

TESTS = Path(__file__).parents[1] / "runner" / "test_faults.py"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("rounds", type=int)
    parser.add_argument("--from", dest="first", type=int, default=0, metavar="SEED")
    parser.add_argument("-k", default="", metavar="EXPRESSION", help="which of the tests, as pytest takes it")
    given = parser.parse_args()
    command = [sys.executable, "-m", "pytest", str(TESTS), "-m", "slow", "-x", "-s", "-p", "no:cacheprovider"]
    for seed in range(given.first, given.first + given.rounds):
        environment = os.environ | {"RANKSEARCH_CHANCE": str(seed)}
        done = subprocess.run([*command, "-k", given.k], env=environment, capture_output=True, text=True)
        if done.returncode:
            sys.exit(f"seed {seed}: violated\n{done.stdout}{done.stderr}")
        for line in done.stdout.splitlines():
            if "trials, " in line:
                print(f"seed {seed}: {line.lstrip('.')}", flush=True)


if __name__ == "__main__":
    main()

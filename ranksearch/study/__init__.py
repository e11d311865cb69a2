"""The study file, its search space, samplers, storage, queue and budget. Optuna, no torch."""

from .abandoned import Worker
from .file import StudyFile, parse_study, read_study, settings
from .fingerprint import fingerprint, require_same
from .ledger import Counts, Ledger, Planned, Room, origin_of, planned
from .one_trial import run_one
from .samplers import SAMPLERS, sampler
from .sections import (
    DataSection,
    FinetuneSection,
    NetworkSection,
    PretrainingSection,
    RanksSection,
    ScheduleSection,
    SearchSection,
    TrainingSection,
)
from .storage import SharedStorage, masked, open_storage, reaching, storage_url
from .template import template
from .variables import Variables

__all__ = [
    "SAMPLERS",
    "Counts",
    "DataSection",
    "FinetuneSection",
    "Ledger",
    "NetworkSection",
    "Planned",
    "PretrainingSection",
    "RanksSection",
    "Room",
    "ScheduleSection",
    "SearchSection",
    "SharedStorage",
    "StudyFile",
    "TrainingSection",
    "Variables",
    "Worker",
    "fingerprint",
    "masked",
    "open_storage",
    "origin_of",
    "parse_study",
    "planned",
    "reaching",
    "read_study",
    "require_same",
    "run_one",
    "sampler",
    "settings",
    "storage_url",
    "template",
]

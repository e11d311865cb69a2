"""The study file, its search space, samplers, storage, queue and budget. Optuna, no torch."""

from .abandoned import Worker
from .at_work import AtWork
from .counts import Counts
from .file import StudyFile, changed_section, parse_study, read_study, settings
from .fingerprint import fingerprint, require_same
from .importances import importances
from .ledger import Ledger, Room
from .masking import masked
from .one_trial import Stopped, run_one
from .opened import opened_file, read_history
from .planned import Planned, origin_of, planned
from .proposals import Proposals
from .samplers import SAMPLERS, sampler
from .screen_ledger import ScreenLedger
from .sections import (
    FinetuneSection,
    LatencySection,
    RanksSection,
    ReportSection,
    ScheduleSection,
    SearchSection,
    TrainingSection,
)
from .shared_storage import SharedStorage
from .stage_sections import ElasticSection, ScreenSection
from .storage import open_storage, reaching, sqlite_file, storage_url
from .subject_sections import DataSection, NetworkSection, PretrainingSection
from .template import template
from .variables import Variables, training_of

__all__ = [
    "SAMPLERS",
    "AtWork",
    "Counts",
    "DataSection",
    "ElasticSection",
    "FinetuneSection",
    "LatencySection",
    "Ledger",
    "NetworkSection",
    "Planned",
    "PretrainingSection",
    "Proposals",
    "RanksSection",
    "ReportSection",
    "Room",
    "ScheduleSection",
    "ScreenLedger",
    "ScreenSection",
    "SearchSection",
    "SharedStorage",
    "Stopped",
    "StudyFile",
    "TrainingSection",
    "Variables",
    "Worker",
    "changed_section",
    "fingerprint",
    "importances",
    "masked",
    "open_storage",
    "opened_file",
    "origin_of",
    "parse_study",
    "planned",
    "reaching",
    "read_history",
    "read_study",
    "require_same",
    "run_one",
    "sampler",
    "settings",
    "sqlite_file",
    "storage_url",
    "template",
    "training_of",
]

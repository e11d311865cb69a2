"""What is known of a study and of each trial, as plain frozen values that become JSON. No torch, no Optuna."""

from .rank_file import RankFile, require_fit
from .recipe import Recipe
from .schedule import NO_DECAY, SCHEDULES, DecaySchedule
from .study_record import ClosedFormPoint, StudyHistory, StudyRecord, Trial
from .trial_record import (
    Machine,
    Measurement,
    Milestone,
    TrainingCost,
    TrialRecord,
    trial_key,
    trial_seed,
)

__all__ = [
    "NO_DECAY",
    "SCHEDULES",
    "ClosedFormPoint",
    "DecaySchedule",
    "Machine",
    "Measurement",
    "Milestone",
    "RankFile",
    "Recipe",
    "StudyHistory",
    "StudyRecord",
    "TrainingCost",
    "Trial",
    "TrialRecord",
    "require_fit",
    "trial_key",
    "trial_seed",
]

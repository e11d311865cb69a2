"""What is known of a study and of each trial, as plain frozen values that become JSON. No torch, no Optuna."""

from .elastic_record import ElasticRecord
from .latency import Latency, LatencyComparison
from .published_point import PublishedPoint
from .rank_file import RankFile, require_fit
from .recipe import Recipe
from .schedule import NO_DECAY, SCHEDULES, DecaySchedule
from .screened_candidate import CHEAP_STAGES, CheapStage, ScreenedCandidate
from .study_record import ClosedFormPoint, Room, StudyHistory, StudyRecord, Trial
from .trial_record import (
    DENSE_CONTROL,
    Machine,
    Measurement,
    Milestone,
    TrainingCost,
    TrialRecord,
    run_name,
    trial_key,
    trial_seed,
)

__all__ = [
    "CHEAP_STAGES",
    "DENSE_CONTROL",
    "NO_DECAY",
    "SCHEDULES",
    "CheapStage",
    "ClosedFormPoint",
    "DecaySchedule",
    "ElasticRecord",
    "Latency",
    "LatencyComparison",
    "Machine",
    "Measurement",
    "Milestone",
    "PublishedPoint",
    "RankFile",
    "Recipe",
    "Room",
    "ScreenedCandidate",
    "StudyHistory",
    "StudyRecord",
    "TrainingCost",
    "Trial",
    "TrialRecord",
    "require_fit",
    "run_name",
    "trial_key",
    "trial_seed",
]

"""A study's trials as tidy tables: the front, its knee, the best under a budget, the finalists. The room of pandas."""

from .best import SELECTIONS, front, select, why_nothing
from .confirmed import confirmed_table, optimism
from .finalists import finalist_table, search_test_correlation
from .stage_comparison import StageComparison, compare_stages
from .stages import stage_table
from .table_file import write_table
from .trial_table import study_table, trial_table

__all__ = [
    "SELECTIONS",
    "StageComparison",
    "compare_stages",
    "confirmed_table",
    "finalist_table",
    "front",
    "optimism",
    "search_test_correlation",
    "select",
    "stage_table",
    "study_table",
    "trial_table",
    "why_nothing",
    "write_table",
]

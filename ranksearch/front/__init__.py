"""A study's trials as tidy tables: the front, its knee, the best under a budget, the finalists. The room of pandas."""

from .best import SELECTIONS, front, select
from .finalists import finalist_table, search_test_correlation
from .table_file import write_table
from .trial_table import study_table, trial_table

__all__ = [
    "SELECTIONS",
    "finalist_table",
    "front",
    "search_test_correlation",
    "select",
    "study_table",
    "trial_table",
    "write_table",
]

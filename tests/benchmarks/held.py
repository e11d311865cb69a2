"""Records of runs that take longer than a sitting: small Parquet files in a folder, what they hold is not run again.

The records of a report, copied into the folder, count as well: a benchmark goes on from them on another machine.
"""

from collections.abc import Sequence
from pathlib import Path

import pandas as pd


def records_in(folder: Path) -> pd.DataFrame:
    """All rows of all files; empty, without columns, where there are none."""
    files = [pd.read_parquet(path) for path in sorted(folder.glob("*.parquet"))]
    return pd.concat(files, ignore_index=True).drop_duplicates() if files else pd.DataFrame()


def held(folder: Path, key: Sequence[str]) -> set[tuple[object, ...]]:
    """The runs that were made, by the columns that tell one from another."""
    records = records_in(folder)
    return set() if records.empty else set(records[list(key)].itertuples(index=False, name=None))

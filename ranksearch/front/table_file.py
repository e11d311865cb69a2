"""Writes a table as CSV or Parquet, by the suffix of the file."""

from collections.abc import Callable
from pathlib import Path

import pandas as pd

from ..errors import TableError, nearest
from ..whole_file import whole_file

WRITERS: dict[str, Callable[[pd.DataFrame, Path], None]] = {
    ".csv": lambda table, path: table.to_csv(path, index=False),
    ".parquet": lambda table, path: table.to_parquet(path, index=False),
}


def write_table(table: pd.DataFrame, path: Path) -> Path:
    """Writes ``table`` without its index, making the folder where needed; returns ``path``.

    Raises:
        TableError: the suffix is neither ``.csv`` nor ``.parquet``, or the file cannot be written.
    """
    if path.suffix not in WRITERS:
        raise TableError(f"{path}: a table is written by its suffix{nearest(path.suffix, list(WRITERS))}")
    try:
        with whole_file(path) as part:
            WRITERS[path.suffix](table, part)
    except OSError as error:
        raise TableError(f"{path}: cannot write the table: {error.strerror or error}") from None
    return path

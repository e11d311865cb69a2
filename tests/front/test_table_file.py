"""Tables read back as they were written."""

import pandas as pd
import pytest

from ranksearch.errors import TableError
from ranksearch.front import trial_table, write_table


@pytest.fixture
def table(trial, history_of, dense_ranks):
    return trial_table(history_of([trial(0, 0.9, 2.0), trial(1, 0.95, 1.0, configuration=dense_ranks)]))


def test_parquet_keeps_values_and_types(table, tmp_path):
    path = write_table(table, tmp_path / "new folder" / "trials.parquet")
    pd.testing.assert_frame_equal(pd.read_parquet(path), table, check_dtype=True)


def test_csv_keeps_values(table, tmp_path):
    read = pd.read_csv(
        write_table(table, tmp_path / "trials.csv"), keep_default_na=False, na_values={"rank/fc/rank": ""}
    )
    assert list(read.columns) == list(table.columns)
    assert read["accuracy"].tolist() == table["accuracy"].tolist()
    assert read["failure"].tolist() == ["", ""]
    assert read["rank/fc/rank"].isna().tolist() == [False, True]


def test_an_empty_table_is_written_with_its_columns(history_of, tmp_path):
    empty = trial_table(history_of())
    for name in ("trials.csv", "trials.parquet"):
        path = write_table(empty, tmp_path / name)
        read = pd.read_csv(path) if path.suffix == ".csv" else pd.read_parquet(path)
        assert list(read.columns) == list(empty.columns)


def test_another_suffix_is_refused(table, tmp_path):
    with pytest.raises(TableError, match=r"trials\.xlsx: .*allowed: \.csv, \.parquet"):
        write_table(table, tmp_path / "trials.xlsx")
    with pytest.raises(TableError, match=r"did you mean '\.parquet'"):
        write_table(table, tmp_path / "trials.parq")


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
def test_a_path_that_cannot_be_written_is_named(table, tmp_path, suffix):
    folder = tmp_path / f"trials{suffix}"
    folder.mkdir()
    with pytest.raises(TableError, match=f"trials{suffix}: cannot write"):
        write_table(table, folder)

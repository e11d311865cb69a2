"""What is read from studies that have run, beside each other."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from ranksearch.study import opened_file
from ranksearch.verbs.results import make_report, report_history, told_apart


def test_studies_of_one_name_keep_their_files_apart(
    write_study: Callable[..., Path], ranksearch: Callable[..., Any], tmp_path: Path
) -> None:
    paths = []
    for name, seed in (("a", 0), ("b", 1)):
        (tmp_path / name).mkdir()
        path = write_study(tmp_path / name, training={"images": 128}, search={"trials": 1, "seed": seed})
        assert ranksearch("search", path).code == 0
        paths.append(path)
    studies = [opened_file(path, {}) for path in paths]
    histories, files = told_apart([report_history(study) for study in studies], studies)
    assert [history.study.name for history in histories] == [f"bars ({path})" for path in paths]
    assert list(files.values()) == [str(path) for path in paths]
    page = make_report(studies, tmp_path / "page").read_text()
    for path in paths:
        assert f"ranksearch export {path} --select trial=0 -o ranks.json" in page
    alone, files = told_apart(histories[:1], studies[:1])
    assert (alone[0].study.name, files) == ("bars", {"bars": str(paths[0])})


def test_a_front_without_networks_says_why(
    write_study: Callable[..., Path], ranksearch: Callable[..., Any], tmp_path: Path
) -> None:
    path = write_study(tmp_path, training={"images": 128}, search={"trials": 1, "floors": {"mac_ratio": 1000.0}})
    said = ranksearch("search", path).out
    assert "no useful trial" not in said
    assert "nothing on the front yet" in said
    said = ranksearch("front", path).out
    assert "nothing on the front: no trial meets all of search.floors: mac_ratio ≥ 1000 (the best has" in said


def test_a_table_is_written_as_its_option_says(
    write_study: Callable[..., Path], ranksearch: Callable[..., Any], tmp_path: Path
) -> None:
    left = ranksearch("front", write_study(tmp_path), "--parquet", tmp_path / "all.csv")
    assert (left.code, "--parquet writes a file that ends in .parquet" in left.err) == (2, True)

"""The verb ``allocate``: every allocator by name, either budget, and what is refused before anything is loaded."""

from pathlib import Path

import pytest

from ranksearch.records import RankFile


def test_either_budget_and_every_kind_of_allocator(write, ranksearch, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    path, ranks = write(), tmp_path / "ranks.json"
    out = ranksearch("allocate", path, "--ratio", 3, "-o", ranks).out
    by_params = RankFile.read(ranks)
    assert "rate-distortion:weighted-log: 3." in out
    assert "distance" in out
    assert by_params.objectives["compression_ratio_pivoted"] >= 3
    assert by_params.measured is not None
    assert by_params.measured.split == "search"
    for options in (("--search", 10), ("--allocator", "rate-distortion:measured"), ("--allocator", "uniform")):
        ranksearch("allocate", path, "--ratio", 3, "--budget", "macs", "-o", ranks, *options)
        assert RankFile.read(ranks).objectives["mac_ratio_pivoted"] >= 3


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (("--allocator", "unifrom", "--ratio", 3), "did you mean 'uniform'?"),
        (("--allocator", "rate-distortion:measrd", "--ratio", 3), "did you mean 'rate-distortion:measured'?"),
        ((), "rate-distortion:weighted-log needs a compression ratio"),
        (("--allocator", "evbmf", "--ratio", 4), "leave out --ratio 4"),
        (("--allocator", "uniform", "--ratio", 4, "--search", 9), "--search goes with rate-distortion only"),
    ],
)
def test_what_is_refused(options, told, write, ranksearch) -> None:  # type: ignore[no-untyped-def]
    left = ranksearch("allocate", write(), *options)
    assert left.code == 2
    assert told in left.err

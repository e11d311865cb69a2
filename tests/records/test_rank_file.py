"""Rank files round-trip, and are refused by layer name where they do not fit."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ranksearch.errors import RankError
from ranksearch.layers import Dense, LayerSpec, LeftDense, NetworkSpec, RankConfiguration, Svd, Tucker2
from ranksearch.records import DecaySchedule, Measurement, RankFile, Recipe, require_fit

NETWORK = NetworkSpec(
    layers=(
        LayerSpec(name="stem", kind="conv2d", channels_out=16, channels_in=3, kernel=(3, 3)),
        LayerSpec(name="head", kind="linear", channels_out=10, channels_in=16),
    ),
    left_dense=(LeftDense(name="depthwise", type="Conv2d", reason="groups", params=1),),
    params=1000,
    macs=1000,
)

names = st.text(st.characters(codec="utf-8", exclude_categories=["C", "Z"]), min_size=1)
ranks = st.one_of(
    st.builds(Tucker2, st.integers(1, 512), st.integers(1, 512)),
    st.builds(Svd, st.integers(1, 512)),
    st.builds(Dense, st.text(st.characters(exclude_categories=["C"]))),
)
measurements = st.builds(
    Measurement,
    st.floats(0, 1),
    st.none() | st.floats(allow_nan=False, allow_infinity=False),
    st.sampled_from(["search", "test"]),
    st.integers(1, 9),
)
files = st.builds(
    RankFile,
    network=st.fixed_dictionaries({"model": names, "weights": names}),
    configuration=st.builds(RankConfiguration, st.dictionaries(names, ranks)),
    schedule=st.builds(DecaySchedule, shape=st.sampled_from(["none", "cosine"]), end=st.floats(0.1, 1)),
    recipe=st.builds(Recipe, lr=st.floats(1e-5, 1)),
    form=st.sampled_from(["plain", "pivoted"]),
    objectives=st.dictionaries(names, st.floats(0, 1e9)),
    measured=st.none() | measurements,
    provenance=st.dictionaries(names, st.one_of(names, st.integers(0, 2**31))),
)


@given(files)
@pytest.mark.parametrize("suffix", [".json", ".yaml", ".yml"])
def test_round_trips_as_text(suffix: str, file: RankFile) -> None:
    assert RankFile.from_text(file.to_text(suffix), suffix) == file


@pytest.mark.parametrize("name", ["ranks.json", "deep/er/ranks.yaml"])
def test_round_trips_on_disk(tmp_path: Path, name: str) -> None:
    file = RankFile(network={"model": "net"}, configuration=RankConfiguration({"stem": Tucker2(4, 2)}))
    file.write(tmp_path / name)
    assert RankFile.read(tmp_path / name) == file


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("[1, 2]", "found 'list'"),
        ("{", "ranks"),
        ('{"format": "other/1"}', "found 'other/1'"),
        ('{"format": "ranksearch.ranks/1"}', "network"),
        (
            '{"format": "ranksearch.ranks/1", "network": {}, "configuration": {"layers": {"a": {"kind": "tucker3"}}}}',
            "tucker3",
        ),
        (
            '{"format": "ranksearch.ranks/1", "network": {}, "configuration": '
            '{"layers": {"a": {"kind": "svd", "rank": 0}}}}',
            "ranks start at 1",
        ),
        (
            '{"format": "ranksearch.ranks/1", "network": {}, "configuration": {"layers": {}}, "form": "pivotted"}',
            r"'pivotted'.*\$\.form",
        ),
        (
            '{"format": "ranksearch.ranks/1", "network": {}, "configuration": {"layers": {}}, "objective": {}}',
            "unknown field `objective`",
        ),
        (
            '{"format": "ranksearch.ranks/1", "network": {}, "configuration": {"layers": {}}, '
            '"schedule": {"shape": "abrupt"}}',
            "schedule.shape = 'abrupt'",
        ),
    ],
)
def test_malformed_text_is_one_line_naming_file_and_place(text: str, named: str) -> None:
    with pytest.raises(RankError, match=named) as caught:
        RankFile.from_text(text, source="ranks.json")
    assert str(caught.value).startswith("ranks.json: ")
    assert "\n" not in str(caught.value)


def test_malformed_yaml_is_one_line() -> None:
    with pytest.raises(RankError, match=r"^ranks\.yaml: ") as caught:
        RankFile.from_text("a: [1,\nb: }", ".yaml", "ranks.yaml")
    assert "\n" not in str(caught.value)


def test_missing_or_binary_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(RankError, match=r"absent\.json: no such rank configuration"):
        RankFile.read(tmp_path / "absent.json")
    (tmp_path / "binary.json").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(RankError, match=r"binary\.json"):
        RankFile.read(tmp_path / "binary.json")


@pytest.mark.parametrize("left", [{"depthwise": Dense("groups")}, {}])
def test_fits_its_network(left: dict) -> None:
    require_fit(RankConfiguration({"stem": Tucker2(16, 3), "head": Dense(), **left}), NETWORK)


@pytest.mark.parametrize(
    ("layers", "named"),
    [
        ({"stem": Tucker2(4, 2), "head": Svd(2), "tail": Svd(1)}, "no compressible layer 'tail'"),
        ({"stem": Tucker2(4, 2)}, "no ranks for layer 'head'"),
        ({"stem": Tucker2(4, 2), "head": Svd(2), "depthwise": Tucker2(1, 1)}, r"'depthwise' is left dense \(groups\)"),
        ({"stem": Svd(2), "head": Svd(2)}, "layer 'stem'"),
        ({"stem": Tucker2(17, 2), "head": Svd(2)}, "layer 'stem'"),
        ({"stem": Tucker2(10, 1), "head": Svd(2)}, "layer 'stem'.*rank_out ≤ K·rank_in"),
        ({"stem": Tucker2(4, 2), "head": Svd(11)}, "layer 'head'.*1…10"),
    ],
)
def test_refused_by_layer_name(layers: dict, named: str) -> None:
    with pytest.raises(RankError, match=named):
        require_fit(RankConfiguration(layers), NETWORK, "ranks.json")

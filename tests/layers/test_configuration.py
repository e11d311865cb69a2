from random import Random

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ranksearch.errors import RankError
from ranksearch.layers import Dense, RankConfiguration, Svd, Tucker2
from ranksearch.layers.configuration import as_tuple

RANKS = st.one_of(
    st.builds(Tucker2, st.integers(1, 512), st.integers(1, 512)),
    st.builds(Svd, st.integers(1, 512)),
    st.builds(Dense, st.text(max_size=5)),
)
CONFIGURATIONS = st.builds(RankConfiguration, st.dictionaries(st.text(min_size=1, max_size=8), RANKS, max_size=6))


@settings(deadline=None)
@given(CONFIGURATIONS, st.sampled_from(["json", "yaml"]))
def test_round_trip(configuration: RankConfiguration, kind: str) -> None:
    module = getattr(msgspec, kind)
    again = module.decode(module.encode(configuration), type=RankConfiguration)
    assert again == configuration
    assert again.digest == configuration.digest


@settings(deadline=None)
@given(CONFIGURATIONS, st.randoms())
def test_the_digest_names_the_ranks_alone(configuration: RankConfiguration, random: Random) -> None:
    items = [(n, Dense("other") if isinstance(r, Dense) else r) for n, r in configuration.layers.items()]
    random.shuffle(items)
    without_dense = {n: r for n, r in items if not isinstance(r, Dense)}
    assert RankConfiguration(dict(items)).digest == configuration.digest == RankConfiguration(without_dense).digest
    changed = RankConfiguration({**configuration.layers, "one more layer": Svd(1)})
    assert changed.digest != configuration.digest


def test_digests_tell_ranks_and_layers_apart() -> None:
    configurations = [{"a": Svd(2)}, {"a": Svd(3)}, {"b": Svd(2)}, {"a": Tucker2(2, 3)}, {"a": Tucker2(3, 2)}, {}]
    assert len({RankConfiguration(c).digest for c in configurations}) == len(configurations)


def test_unnamed_layers_are_dense() -> None:
    configuration = RankConfiguration({"a": Svd(2)})
    assert configuration["a"] == Svd(2)
    assert isinstance(configuration["b"], Dense)
    assert "a" in configuration
    assert "b" not in configuration
    assert [as_tuple(r) for r in (Tucker2(4, 3), Svd(2), Dense())] == [(4, 3), (2,), ()]


@pytest.mark.parametrize("ranks", [Svd(0), Tucker2(0, 3), Tucker2(3, -1)])
def test_ranks_start_at_one(ranks: Svd | Tucker2) -> None:
    with pytest.raises(RankError, match=r"'conv'.*start at 1"):
        RankConfiguration({"conv": ranks})


def test_the_file_says_its_kind() -> None:
    encoded = msgspec.to_builtins(RankConfiguration({"a": Tucker2(4, 3), "b": Dense("kept")}))
    assert encoded == {
        "layers": {"a": {"kind": "tucker2", "rank_out": 4, "rank_in": 3}, "b": {"kind": "dense", "reason": "kept"}}
    }

"""A rank configuration: for every compressible layer its ranks, or dense with a reason."""

import hashlib

import msgspec

from ..errors import RankError


class Tucker2(msgspec.Struct, frozen=True, tag_field="kind", tag="tucker2"):
    """Ranks of a k×k convolution: of mode 0 (output channels) and mode 1 (input channels), each ≥ 1."""

    rank_out: int
    rank_in: int


class Svd(msgspec.Struct, frozen=True, tag_field="kind", tag="svd"):
    """Rank of a 1×1 convolution or a linear layer, ≥ 1."""

    rank: int


class Dense(msgspec.Struct, frozen=True, tag_field="kind", tag="dense"):
    """The layer stays as it is."""

    reason: str = ""


LayerRanks = Tucker2 | Svd | Dense


class RankConfiguration(msgspec.Struct, frozen=True):
    """Ranks by layer name. Layers that are not named stay dense.

    >>> c = RankConfiguration({"conv": Tucker2(4, 3), "fc": Svd(2)})
    >>> c["conv"].rank_out, c["elsewhere"]
    (4, Dense(reason='not named'))
    """

    layers: dict[str, LayerRanks]

    def __post_init__(self) -> None:
        for name, ranks in self.layers.items():
            if min(as_tuple(ranks), default=1) < 1:
                raise RankError(f"layer {name!r}: ranks start at 1, got {as_tuple(ranks)}")

    def __getitem__(self, name: str) -> LayerRanks:
        return self.layers.get(name, Dense("not named"))

    def __contains__(self, name: object) -> bool:
        """Whether the layer is named. (Without this, ``in`` would index 0, 1, 2 … for ever.)"""
        return name in self.layers

    @property
    def digest(self) -> str:
        """Sixteen hexadecimal digits naming the ranks, whatever the reasons for staying dense."""
        ranks = sorted((name, as_tuple(r)) for name, r in self.layers.items() if not isinstance(r, Dense))
        return hashlib.sha256(repr(ranks).encode()).hexdigest()[:16]


def as_tuple(ranks: LayerRanks) -> tuple[int, ...]:
    """``(rank_out, rank_in)``, ``(rank,)``, or ``()`` for a dense layer."""
    if isinstance(ranks, Tucker2):
        return (ranks.rank_out, ranks.rank_in)
    return (ranks.rank,) if isinstance(ranks, Svd) else ()

"""Legal ranks of a layer, and the projection of any integers onto them.

``1 ≤ rank_out ≤ min(C_out, K·rank_in)`` and ``1 ≤ rank_in ≤ min(C_in, K·rank_out)``: beyond, the core's
unfolding cannot have that rank. A pair that is no smaller than the dense layer is replaced by "dense".
"""

import numpy as np
from numpy.typing import NDArray

from ..errors import RankError
from .configuration import Dense, LayerRanks, Svd, Tucker2, as_tuple
from .cost import Form, layer_params
from .spec import LayerSpec


def full_ranks(spec: LayerSpec) -> tuple[int, ...]:
    """The largest legal ranks, at which the layer is exact: ``(rank_out, rank_in)`` or ``(rank,)``."""
    if spec.format == "tucker2":
        k = spec.kernel_size
        return min(spec.channels_out, k * spec.channels_in), min(spec.channels_in, k * spec.channels_out)
    return (min(spec.channels_out, spec.channels_in),)


def legal_mask(spec: LayerSpec) -> NDArray[np.bool_]:
    """Which rank pairs are legal, ``[rank_out − 1, rank_in − 1]`` of shape (C_out, C_in), or ``[rank − 1]``."""
    if spec.format == "svd":
        return np.ones(full_ranks(spec), bool)
    out, in_ = np.arange(1, spec.channels_out + 1)[:, None], np.arange(1, spec.channels_in + 1)[None, :]
    return (out <= spec.kernel_size * in_) & (in_ <= spec.kernel_size * out)


def is_legal(spec: LayerSpec, ranks: LayerRanks) -> bool:
    """Whether the ranks are of the layer's format and within its legal range; dense always is."""
    if isinstance(ranks, Dense):
        return True
    if isinstance(ranks, Tucker2) != (spec.format == "tucker2"):
        return False
    within = all(1 <= r <= full for r, full in zip(as_tuple(ranks), full_ranks(spec), strict=True))
    return within and max(as_tuple(ranks)) <= spec.kernel_size * min(as_tuple(ranks))


def require_legal(spec: LayerSpec, ranks: LayerRanks) -> None:
    """Raises :class:`RankError` naming the layer, its format and its range where ``ranks`` do not fit."""
    if not is_legal(spec, ranks):
        law = "rank_out ≤ K·rank_in and rank_in ≤ K·rank_out within " if spec.format == "tucker2" else ""
        limits = " × ".join(f"1…{r}" for r in full_ranks(spec))
        raise RankError(
            f"layer {spec.name!r} ({spec.channels_out}×{spec.channels_in}×{spec.kernel[0]}×{spec.kernel[1]}) "
            f"takes {spec.format} with {law}{limits}, got {ranks}"
        )


def project(spec: LayerSpec, ranks: tuple[int, ...], form: Form, multiple_of: int = 1) -> LayerRanks:
    """Legal ranks for any: rounded to ``multiple_of``, the larger clipped to K times the other, dense where that is no
    larger.

    Args:
        ranks: one integer per mode, of any size.
        multiple_of: ranks become multiples of it, except at full rank.

    >>> spec = LayerSpec(name="c", kind="conv2d", channels_out=64, channels_in=8, kernel=(1, 3))
    >>> project(spec, (60, 2), "pivoted")
    Tucker2(rank_out=6, rank_in=2)
    """
    full = full_ranks(spec)
    rounded = [
        f if r >= f else min(f, max(multiple_of, round(r / multiple_of) * multiple_of))
        for r, f in zip(ranks, full, strict=True)
    ]
    if spec.format == "svd":
        chosen: LayerRanks = Svd(rounded[0])
    else:
        out, in_ = rounded
        out = min(out, spec.kernel_size * in_)
        chosen = Tucker2(out, min(in_, spec.kernel_size * out))
    if as_tuple(chosen) == full:
        return Dense("full rank")
    if layer_params(spec, chosen, form) >= spec.params:
        return Dense(f"ranks {as_tuple(chosen)} are no smaller than the dense layer in the {form} form")
    return chosen

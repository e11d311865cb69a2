"""What others have published: a network that a study's report draws beside its own."""

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

PublishedCount = Literal["plain", "pivoted", "macs"]


class PublishedPoint(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One published result.

    Attributes:
        name: of the method, as the legend shows it.
        accuracy: on the test split, a fraction in [0, 1].
        ratio: dense / compressed, > 0.
        count: of what: parameters stored as they are (``"plain"``) or in the pivoted form, or MACs.
    """

    name: str
    accuracy: Annotated[float, Meta(ge=0, le=1)]
    ratio: Annotated[float, Meta(gt=0)]
    count: PublishedCount = "plain"

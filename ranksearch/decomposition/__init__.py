"""From a kernel to low-rank factors of any rank, and to the layers that store and run them."""

from .bases import NestedBases, nested_bases, network_bases
from .covariance import shrink
from .deployed import deploy, skeleton
from .factors import Decomposition, Factors
from .hooi import Hooi, hooi
from .pivot import Pivoting, pivot

__all__ = [
    "Decomposition",
    "Factors",
    "Hooi",
    "NestedBases",
    "Pivoting",
    "deploy",
    "hooi",
    "nested_bases",
    "network_bases",
    "pivot",
    "shrink",
    "skeleton",
]

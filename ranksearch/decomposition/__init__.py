"""From a kernel to low-rank factors of any rank, and to the layers that store and run them."""

from .bases import NestedBases, nested_bases, network_bases
from .covariance import shrink
from .deployed import deploy, skeleton
from .factors import Factors
from .hooi import hooi
from .pivot import Pivoting, pivot

__all__ = [
    "Factors",
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

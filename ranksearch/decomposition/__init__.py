"""From a kernel to low-rank factors of any rank, and to the layers that store and run them."""

from .bases import NestedBases, nested_bases, network_bases
from .bases_file import read_bases, write_bases
from .calibration import Covariances, calibrate
from .covariance import shrink
from .deployed import deploy, skeleton
from .factors import Decomposition, Factors
from .hooi import Hooi, hooi
from .pivot import Pivoting, pivot
from .recompose import recompose

__all__ = [
    "Covariances",
    "Decomposition",
    "Factors",
    "Hooi",
    "NestedBases",
    "Pivoting",
    "calibrate",
    "deploy",
    "hooi",
    "nested_bases",
    "network_bases",
    "pivot",
    "read_bases",
    "recompose",
    "shrink",
    "skeleton",
    "write_bases",
]

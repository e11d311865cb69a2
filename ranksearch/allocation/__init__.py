"""From error tables to ranks under a budget: rate–distortion, uniform, energy, EVBMF. NumPy only."""

from .allocators import ALLOCATORS, Allocator
from .budget import attainable_ratio, rounded_down
from .choices import Cost
from .distortion import DISTORTIONS, Distortion, Profiles
from .rate_distortion import RateDistortion
from .slices import Slices

__all__ = [
    "ALLOCATORS",
    "DISTORTIONS",
    "Allocator",
    "Cost",
    "Distortion",
    "Profiles",
    "RateDistortion",
    "Slices",
    "attainable_ratio",
    "rounded_down",
]

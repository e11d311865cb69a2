"""From error tables to ranks under a budget: rate–distortion, uniform, energy, EVBMF. NumPy only."""

from .allocators import ALLOCATORS, Allocator
from .budget import attainable_ratio
from .rate_distortion import RateDistortion

__all__ = ["ALLOCATORS", "Allocator", "RateDistortion", "attainable_ratio"]

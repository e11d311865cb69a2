"""Networks by name, their weights, and the data: examples, sources, splits. PyTorch from here on."""

from .augmentation import Augmentation
from .catalogue import MODELS, build_network
from .checkpoint import load_weights, save_tensors, save_weights, weights_fingerprint
from .conversion import concatenate, examples_of
from .examples import Examples
from .flattened import flattened_layers, take_as_kernels, with_linear_layers
from .normalization import Normalization
from .resident import Resident
from .sources import SOURCES, load_source
from .splits import Splits, given_splits, make_splits
from .streamed import Streamed
from .walk import require_weights, walk

__all__ = [
    "MODELS",
    "SOURCES",
    "Augmentation",
    "Examples",
    "Normalization",
    "Resident",
    "Splits",
    "Streamed",
    "build_network",
    "concatenate",
    "examples_of",
    "flattened_layers",
    "given_splits",
    "load_source",
    "load_weights",
    "make_splits",
    "require_weights",
    "save_tensors",
    "save_weights",
    "take_as_kernels",
    "walk",
    "weights_fingerprint",
    "with_linear_layers",
]

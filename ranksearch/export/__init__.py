"""The compressed network outside this package: checkpoints, and what reads them back and measures them."""

from .compressed import load_compressed, read_ranks, save_compressed, stored_bytes
from .evaluate import Evaluation, compare_latency
from .layer_forms import LayerLatency, in_forms, layer_latencies
from .streamline import streamline

__all__ = [
    "Evaluation",
    "LayerLatency",
    "compare_latency",
    "in_forms",
    "layer_latencies",
    "load_compressed",
    "read_ranks",
    "save_compressed",
    "stored_bytes",
    "streamline",
]

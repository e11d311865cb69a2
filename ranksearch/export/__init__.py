"""The compressed network outside this package: checkpoints, and what reads them back and measures them."""

from .compressed import load_compressed, read_ranks, save_compressed, stored_bytes
from .evaluate import Evaluation, Latency, compare_latency
from .onnx_file import OnnxNetwork, save_onnx

__all__ = [
    "Evaluation",
    "Latency",
    "OnnxNetwork",
    "compare_latency",
    "load_compressed",
    "read_ranks",
    "save_compressed",
    "save_onnx",
    "stored_bytes",
]

"""The compressed network outside this package: files for other runtimes, and what reads them back and measures them."""

from .compressed import load_compressed, read_ranks, save_compressed, stored_bytes
from .evaluate import Evaluation, compare_latency
from .int8 import save_int8
from .layer_forms import LayerLatency, in_forms, layer_latencies
from .model_card import model_card
from .onnx_file import OnnxNetwork, save_onnx
from .program_file import load_program, read_program_ranks, save_program
from .runtimes import RUNTIMES
from .streamline import streamline
from .verification import require_same_outputs

__all__ = [
    "RUNTIMES",
    "Evaluation",
    "LayerLatency",
    "OnnxNetwork",
    "compare_latency",
    "in_forms",
    "layer_latencies",
    "load_compressed",
    "load_program",
    "model_card",
    "read_program_ranks",
    "read_ranks",
    "require_same_outputs",
    "save_compressed",
    "save_int8",
    "save_onnx",
    "save_program",
    "stored_bytes",
    "streamline",
]

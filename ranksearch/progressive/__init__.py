"""From a dense network to a compressed one: progressive layers, their decay, fine-tuning, and the measurement."""

from .adapter import ProgressiveLayer
from .measuring import measure, predict, reestimate_batch_norm
from .precision import FLOAT32, Precision, probe_precision
from .surgery import attach, collapse, progressive_layers, set_decay
from .task import CLASSIFICATION, Task
from .training import FineTuned, fine_tune

__all__ = [
    "CLASSIFICATION",
    "FLOAT32",
    "FineTuned",
    "Precision",
    "ProgressiveLayer",
    "Task",
    "attach",
    "collapse",
    "fine_tune",
    "measure",
    "predict",
    "probe_precision",
    "progressive_layers",
    "reestimate_batch_norm",
    "set_decay",
]

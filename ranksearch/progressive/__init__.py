"""From a dense network to a compressed one: progressive layers, their decay, fine-tuning, and the measurement."""

from .adapter import ProgressiveLayer
from .elastic import Elastic, ElasticLayer, elastic_layers, make_elastic, set_slice
from .measuring import judged, measure, not_finite, outputs_of, predict, reestimate_batch_norm
from .precision import FLOAT32, Precision, probe_precision
from .quick_look import QuickLook
from .surgery import attach, collapse, progressive_layers, set_decay
from .task import CLASSIFICATION, Task, require_labels
from .teacher import Teacher
from .training import FineTuned, fine_tune
from .training_state import Progress

__all__ = [
    "CLASSIFICATION",
    "FLOAT32",
    "Elastic",
    "ElasticLayer",
    "FineTuned",
    "Precision",
    "Progress",
    "ProgressiveLayer",
    "QuickLook",
    "Task",
    "Teacher",
    "attach",
    "collapse",
    "elastic_layers",
    "fine_tune",
    "judged",
    "make_elastic",
    "measure",
    "not_finite",
    "outputs_of",
    "predict",
    "probe_precision",
    "progressive_layers",
    "reestimate_batch_norm",
    "require_labels",
    "set_decay",
    "set_slice",
]

"""What can be compressed: a layer's shape, cost, legal ranks, error table and rank configuration. NumPy only."""

from .configuration import Dense, LayerRanks, RankConfiguration, Svd, Tucker2
from .cost import (
    Form,
    LayerForm,
    NetworkCost,
    as_run,
    layer_forms,
    layer_macs,
    layer_params,
    macs_table,
    network_cost,
    params_table,
)
from .error_table import Basis, ErrorTable
from .legal import full_ranks, is_legal, legal_mask, project
from .spec import Flattened, LayerSpec, LeftDense, NetworkSpec, Shape

__all__ = [
    "Basis",
    "Dense",
    "ErrorTable",
    "Flattened",
    "Form",
    "LayerForm",
    "LayerRanks",
    "LayerSpec",
    "LeftDense",
    "NetworkCost",
    "NetworkSpec",
    "RankConfiguration",
    "Shape",
    "Svd",
    "Tucker2",
    "as_run",
    "full_ranks",
    "is_legal",
    "layer_forms",
    "layer_macs",
    "layer_params",
    "legal_mask",
    "macs_table",
    "network_cost",
    "params_table",
    "project",
]

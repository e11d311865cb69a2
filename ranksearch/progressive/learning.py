"""What learns, by which optimiser, at which rate."""

import math
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import nn

from ..records import Recipe
from .adapter import ProgressiveLayer
from .elastic import ElasticLayer


def learning_parameters(network: nn.Module, learn: str) -> list[nn.Parameter]:
    """The parameters that ``learn`` names, each once, in the network's order.

    ``"adapters"``: cores and factors. ``"adapters+norm"``: also all biases, and all parameters of modules whose
    class, or one it derives from, has "norm" in its name. ``"all"``: everything; the residuals are buffers and never
    learn. None in a network that stays dense, where adapters alone would. What its owner froze (``requires_grad``)
    stays as it is; the adapter of a frozen layer learns.
    """
    chosen: dict[nn.Parameter, None] = {}
    for module in network.modules():
        adapter = isinstance(module, ProgressiveLayer | ElasticLayer)
        norm = any("norm" in base.__name__.lower() for base in type(module).__mro__)
        for name, parameter in module.named_parameters(recurse=False):
            named = learn == "all" or (learn == "adapters+norm" and (norm or name.endswith("bias")))
            if adapter or (named and parameter.requires_grad):
                chosen[parameter] = None
    return list(chosen)


@contextmanager
def only_learning(network: nn.Module, parameters: list[nn.Parameter]) -> Iterator[None]:
    """Gradients for ``parameters`` alone, training mode; afterwards flags and modes are the caller's again."""
    flags = [(p, p.requires_grad) for p in network.parameters()]
    modes = [(m, m.training) for m in network.modules()]
    network.requires_grad_(False).train()
    for parameter in parameters:
        parameter.requires_grad_(True)
    try:
        yield
    finally:
        for parameter, flag in flags:
            parameter.requires_grad_(flag)
            parameter.grad = None
        for module, mode in modes:
            module.training = mode


def make_optimizer(parameters: list[nn.Parameter], recipe: Recipe) -> torch.optim.Optimizer:
    """SGD with Nesterov momentum or AdamW, fused; no weight decay on what has one dimension (biases, norms)."""
    groups = [
        {"params": [p for p in parameters if p.ndim > 1], "weight_decay": recipe.weight_decay},
        {"params": [p for p in parameters if p.ndim <= 1], "weight_decay": 0.0},
    ]
    groups = [group for group in groups if group["params"]]
    if recipe.optimizer == "adamw":
        return torch.optim.AdamW(groups, lr=recipe.lr, fused=True)
    return torch.optim.SGD(groups, lr=recipe.lr, momentum=recipe.momentum, nesterov=recipe.momentum > 0, fused=True)


def learning_rate(recipe: Recipe, step: int) -> float:
    """The rate of ``step`` = 0 … steps − 1: linear up to the peak, then a cosine to 0 (Loshchilov & Hutter 2017).

    >>> recipe = Recipe(images=10, batch=1, lr=1.0, warmup=0.2)
    >>> [round(learning_rate(recipe, step), 3) for step in (0, 1, 2, 6, 10)]
    [0.5, 1.0, 1.0, 0.5, 0.0]
    """
    warmup = round(recipe.warmup * recipe.steps)
    if step < warmup:
        return recipe.lr * ((step + 1) / warmup)
    return recipe.lr * ((1 + math.cos(math.pi * (step - warmup) / max(recipe.steps - warmup, 1))) / 2)

"""Networks by name: ours, torchvision's, or the user's own factory."""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from torch import nn
from torchvision import models

from ..errors import NetworkError, describe, nearest
from .copying import copy_network, uncompiled
from .digits_convnet import DigitsConvNet
from .factory import call_factory, import_factory
from .lenet import LeNet5
from .resnet import CifarResNet
from .vgg import CifarVgg

MODELS: dict[str, Callable[..., nn.Module]] = {
    "digits-convnet": DigitsConvNet,
    "lenet5": LeNet5,
    "resnet20": partial(CifarResNet, 20),
    "resnet32": partial(CifarResNet, 32),
    "resnet44": partial(CifarResNet, 44),
    "resnet56": partial(CifarResNet, 56),
    "resnet110": partial(CifarResNet, 110),
    "vgg13": partial(CifarVgg, 13),
    "vgg16": partial(CifarVgg, 16),
    "vgg19": partial(CifarVgg, 19),
}


def build_network(model: str, *, classes: int | None, arguments: Mapping[str, Any] | None = None) -> nn.Module:
    """The network that ``model`` names, with fresh weights.

    Args:
        model: one of :data:`MODELS`, ``"torchvision:NAME"``, or ``"package.module:factory"``.
        classes: number of outputs; a factory is called without it, with ``arguments`` only.
            None where the data has no class labels: then only a factory can be built.
        arguments: further keyword arguments.

    Raises:
        NetworkError: an unknown name, arguments that do not fit, or a factory that fails or makes no module.

    >>> build_network("resnet20", classes=10).linear
    Linear(in_features=64, out_features=10, bias=True)
    """
    arguments = dict(arguments or {})
    kind, colon, name = model.partition(":")
    if colon and kind != "torchvision":
        return _from_factory(model, arguments)
    if not colon and model not in MODELS:
        raise NetworkError(
            f"network.model = {model!r} is unknown{nearest(model, list(MODELS))} "
            "(or torchvision:NAME, or package.module:factory)"
        )
    outputs = "num_classes" if colon else "classes"
    if classes is None and outputs not in arguments:
        raise NetworkError(
            f"network.model = {model!r} needs a number of classes, and the data's targets are not class labels: "
            "use a factory of your own, package.module:factory"
        )
    arguments = {outputs: classes} | arguments
    try:
        return models.get_model(name, **({"weights": None} | arguments)) if colon else MODELS[model](**arguments)
    except NetworkError:
        raise
    except Exception as failure:
        if colon and name not in models.list_models():
            raise NetworkError(f"torchvision has no model {name!r}{nearest(name, models.list_models())}") from failure
        raise NetworkError(f"{model!r} cannot be built with {arguments}: {describe(failure)}") from failure


def _from_factory(path: str, arguments: dict[str, Any]) -> nn.Module:
    made = import_factory(path, NetworkError)
    # a module is callable too; a finished one is copied, so that the user's own object is never changed
    network = copy_network(made) if isinstance(made, nn.Module) else call_factory(path, arguments, NetworkError)
    if not isinstance(network, nn.Module):
        raise NetworkError(f"{path!r} must make a torch.nn.Module, got {type(network).__name__}")
    return uncompiled(network)

"""The user's own code, named in a study file as ``package.module:factory``."""

import importlib
import os
import sys
from collections.abc import Mapping
from typing import Any

from ..errors import RanksearchError, describe, nearest


def import_factory(path: str, error: type[RanksearchError]) -> Any:
    """What ``package.module:factory`` names; the working directory is importable, as with ``python -m``.

    Args:
        path: a module and one of its attributes, with a colon between.
        error: the class to raise, so that a wrong model and a wrong data set are told apart.
    """
    module_name, colon, name = path.partition(":")
    if not (colon and module_name and name):
        raise error(f"{path!r} must be written package.module:factory")
    if os.getcwd() not in sys.path:
        sys.path.insert(0, os.getcwd())
    try:
        module = importlib.import_module(module_name)
    except ModuleNotFoundError as missing:
        if missing.name and (module_name + ".").startswith(missing.name + "."):
            raise error(
                f"{path!r}: there is no module {missing.name!r} in {os.getcwd()}, whence you called, or "
                "among the installed ones: call from its folder, or install it"
            ) from missing
        raise error(f"{path!r}: importing {module_name} needs {missing.name!r}, which is not installed") from missing
    except Exception as failure:
        raise error(f"{path!r}: importing {module_name} failed with {describe(failure)}") from failure
    if not hasattr(module, name):
        public = [word for word in vars(module) if not word.startswith("_")]
        raise error(f"{path!r}: module {module_name} has no {name!r}{nearest(name, public)}")
    return getattr(module, name)


def call_factory(path: str, arguments: Mapping[str, Any], error: type[RanksearchError]) -> Any:
    """The factory's result with ``arguments`` by keyword; what is not callable is taken as it is."""
    factory = import_factory(path, error)
    if not callable(factory):
        return factory
    try:
        return factory(**arguments)
    except RanksearchError:
        raise
    except Exception as failure:
        raise error(f"{path!r} called with {dict(arguments)} failed with {describe(failure)}") from failure

"""ranksearch: search the ranks of a low-rank compressed network.

    import ranksearch

    study = ranksearch.search(model, train, search, ratio=(1.5, 8), trials=50)
    study.front()                                # DataFrame
    study.figure()                               # Plotly
    study.export("ranks.json", select="knee")
    compressed = ranksearch.load(model, "compressed.safetensors")

The command line is ``ranksearch --help``.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .export import load_compressed as load
    from .verbs.notebook import Study, search

__all__ = ["Study", "load", "search"]

#: public name → (module, its name there); loaded when first used, since `import ranksearch` must stay cheap
_LAZY = {
    "Study": ("verbs.notebook", "Study"),
    "load": ("export", "load_compressed"),
    "search": ("verbs.notebook", "search"),
}


def __getattr__(name: str) -> Any:
    if name not in _LAZY:
        raise AttributeError(f"module 'ranksearch' has no attribute {name!r}")
    from importlib import import_module

    module, attribute = _LAZY[name]
    return getattr(import_module(f".{module}", __name__), attribute)

"""Where a verb prints."""

from typing import Any

from rich.console import Console


def plain_console(**how: Any) -> Console:
    """A console that prints text as it is: rich's markup would take ``[a]`` in a path for a style, its highlighter
    would colour every number."""
    return Console(markup=False, highlight=False, **how)

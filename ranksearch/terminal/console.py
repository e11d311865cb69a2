"""Where a verb prints."""

from typing import Any

from rich.console import Console


def plain_console(**how: Any) -> Console:
    """A console that prints names and paths as they are: rich's markup would take ``[a]`` in them for a style."""
    return Console(markup=False, **how)

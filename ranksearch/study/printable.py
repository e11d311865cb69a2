"""Text from a database, which others may write: nothing in it commands a terminal."""

import re
from typing import Any

#: control characters, line feed and tab apart, and what reverses the direction of writing
COMMANDS = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")


def printable(value: Any) -> Any:
    r"""Nested plain values with every such character of their strings replaced.

    >>> printable({"reason": ["\x1b]0;title\x07", 3]})
    {'reason': ['�]0;title�', 3]}
    """
    if isinstance(value, str):
        return COMMANDS.sub("\ufffd", value)
    if isinstance(value, dict):
        return {printable(key): printable(inner) for key, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return [printable(inner) for inner in value]
    return value

"""Text from outside (studies, layers, data) inside Markdown, which is to read nothing in it."""

import re


def prose(text: str) -> str:
    """Text in one line of which Markdown reads nothing.

    >>> prose("<b> [x](y) | *z*")
    '\\\\<b\\\\> \\\\[x\\\\](y) \\\\| \\\\*z\\\\*'
    """
    return re.sub(r"([\\`*_{}\[\]<>#|~&!$])", r"\\\1", " ".join(text.split()))


def code(text: str) -> str:
    r"""A code span, in a table or not, that nothing in it ends.

    >>> print(code("a`b|c\n<img>"))
    `` a`b\|c <img> ``
    """
    line = " ".join(text.split()).replace("|", r"\|") or " "
    fence = "`" * (_longest_run(line) + 1)
    pad = " " if "`" in line else ""
    return f"{fence}{pad}{line}{pad}{fence}"


def fenced(language: str, text: str) -> str:
    """A block that no line of ``text`` ends: its fence is longer than any run of backticks inside."""
    fence = "`" * max(3, _longest_run(text) + 1)
    return f"{fence}{language}\n{text.rstrip()}\n{fence}"


def _longest_run(text: str) -> int:
    return max(map(len, re.findall("`+", text)), default=0)

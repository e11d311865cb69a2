"""Texts that travel in the page compressed: a quarter of their size, and no element that they could open or end."""

import base64
import gzip

from markupsafe import Markup


def pack(text: str) -> Markup:
    """Gzip in base64, for a script element; the page's script unpacks it.

    >>> unpack(pack("</script>"))
    '</script>'
    """
    return Markup(base64.b64encode(gzip.compress(text.encode(), 9, mtime=0)).decode())


def unpack(packed: str) -> str:
    """The inverse of :func:`pack`."""
    return gzip.decompress(base64.b64decode(packed)).decode()

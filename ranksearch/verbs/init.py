"""The verb ``init``: a study file to start from."""

import os
import re
from pathlib import Path

from ..errors import StudyFileError
from ..networks.sources import SOURCES
from ..study import template
from ..whole_file import whole_file


def write_template(output: Path, *, model: str, data: str, weights: str, force: bool) -> None:
    """Writes a commented study file; paths from the working directory become paths from the file's folder.

    Raises:
        StudyFileError: the file exists.
    """
    if output.exists() and not force:
        raise StudyFileError(f"{output} exists; --force overwrites it")
    kind, _, place = data.partition(":")
    if place and kind in SOURCES:
        data = f"{kind}:{_from(output.parent, place)}"
    if weights not in ("train", "none"):
        weights = _from(output.parent, weights)
    name = re.sub(r"[^\w.+-]+", "-", output.stem).strip("-+.")[:100] or "study"  # as names may be
    text = template(model, data, name=name, weights=weights, search=500)
    with whole_file(output) as part:
        part.write_text(text, encoding="utf-8")


def _from(folder: Path, path: str) -> str:
    """A path as a file in ``folder`` has to write it."""
    if Path(path).is_absolute() or path.startswith(("$", "~")):
        return path
    return Path(os.path.relpath(path, folder)).as_posix()

"""Files that are there whole or not at all: a killed process, or a full disk, leaves the one before."""

import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def whole_file(path: Path) -> Iterator[Path]:
    """A path beside ``path`` to write to, which takes its name when the block has ended well.

    Folders on the way are made. Several processes may write one file, each to a part of its own: the last one stays.
    Whoever may read what else this process writes may read it, however its writer made it.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f"{path.name}.{secrets.token_hex(4)}.part")  # every container's process is number 1
    try:
        part.touch()
        mode = part.stat().st_mode
        yield part
        part.chmod(mode)
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


def copy_whole(source: Path, path: Path) -> None:
    """Copies a file, whole or not at all."""
    with whole_file(path) as part:
        shutil.copyfile(source, part)

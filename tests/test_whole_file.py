import os
import subprocess
import sys
from pathlib import Path

import pytest

from ranksearch.whole_file import whole_file


def test_what_was_written_takes_the_name(tmp_path: Path) -> None:
    path = tmp_path / "new" / "folder" / "a.txt"
    for text in ("first", "second"):
        with whole_file(path) as part:
            part.write_text(text)
            assert not path.exists() or path.read_text() == "first"
        assert path.read_text() == text
        assert os.listdir(path.parent) == ["a.txt"]


def test_a_failure_leaves_the_file_before_and_no_part(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("before")

    def fill() -> None:
        with whole_file(tmp_path / "a.txt") as part:
            part.write_text("hal")
            raise OSError("the disk is full")

    with pytest.raises(OSError, match="full"):
        fill()
    assert (tmp_path / "a.txt").read_text() == "before"
    assert os.listdir(tmp_path) == ["a.txt"]


def test_a_killed_process_leaves_the_file_before(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("before")
    program = (
        "import os, signal; from pathlib import Path; from ranksearch.whole_file import whole_file\n"
        "with whole_file(Path('a.txt')) as part: part.write_text('hal'); os.kill(os.getpid(), signal.SIGKILL)"
    )
    killed = subprocess.run([sys.executable, "-c", program], cwd=tmp_path, check=False)
    assert killed.returncode == -9
    assert (tmp_path / "a.txt").read_text() == "before"


def test_processes_write_parts_of_their_own(tmp_path: Path) -> None:
    with whole_file(tmp_path / "a.txt") as part:
        part.write_text("ours")
        other = "from pathlib import Path; from ranksearch.whole_file import whole_file\n"
        other += "with whole_file(Path('a.txt')) as part: part.write_text('theirs')"
        subprocess.run([sys.executable, "-c", other], cwd=tmp_path, check=True)
        assert (tmp_path / "a.txt").read_text() == "theirs"
    assert (tmp_path / "a.txt").read_text() == "ours"


def test_who_may_read_other_files_may_read_this(tmp_path: Path) -> None:
    """Some writers make theirs readable by their user alone; a shared folder's other users need it."""
    with whole_file(tmp_path / "a.txt") as part:
        part.touch()
        part.chmod(0o600)
    (tmp_path / "b.txt").touch()
    assert (tmp_path / "a.txt").stat().st_mode == (tmp_path / "b.txt").stat().st_mode

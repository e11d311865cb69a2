from pathlib import Path
from types import SimpleNamespace

import psutil
import pytest

from ranksearch.errors import StudyFileError
from ranksearch.study import open_storage
from ranksearch.study.file_system import network_file_system

TABLE = [
    ("/", "ext4", "rw,relatime"),
    ("/home", "nfs4", "rw,vers=4.2"),
    ("/home/me/scratch", "xfs", "rw"),
    ("/home/me/scratch/far", "fuse.sshfs", "rw"),
    ("/shared", "autofs", "rw"),
    ("/shared", "lustre", "rw,flock"),
    ("/drive", "NTFS", "rw,remote"),
]


@pytest.fixture(autouse=True)
def _mounted(monkeypatch: pytest.MonkeyPatch) -> None:
    table = [SimpleNamespace(mountpoint=place, fstype=kind, opts=options) for place, kind, options in TABLE]
    monkeypatch.setattr(psutil, "disk_partitions", lambda all: table if all else [])


@pytest.mark.parametrize(
    ("file", "kind"),
    [
        ("/tmp/a.db", None),
        ("/homes/a.db", None),
        ("/home/me/a.db", "nfs4"),
        ("/home/me/scratch/a.db", None),
        ("/home/me/scratch/far/a.db", "fuse.sshfs"),
        ("/shared/a.db", "lustre"),
        ("/drive/a.db", "NTFS"),
    ],
)
def test_the_innermost_mount_counts(file: str, kind: str | None) -> None:
    assert network_file_system(Path(file)) == kind


def test_a_link_is_followed(tmp_path: Path) -> None:
    (tmp_path / "studies").symlink_to("/home/me")
    assert network_file_system(tmp_path / "studies" / "a.db") == "nfs4"


def test_sqlite_is_refused_there(tmp_path: Path) -> None:
    with pytest.raises(StudyFileError) as caught:
        open_storage("sqlite:////home/me/a.db")
    for told in ("/home/me/a.db", "locks", "nfs4", "postgresql://", "--storage sqlite:////tmp/a.db"):
        assert told in str(caught.value)


def test_this_machines_own_table_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    assert network_file_system(tmp_path / "a.db") is None

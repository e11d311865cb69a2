"""The file system below a file: a network's shares files between machines, but not the locks that SQLite needs."""

from pathlib import Path

import psutil

#: as the operating system names them
NETWORK = frozenset(
    {
        "nfs", "nfs4", "cifs", "smb3", "smbfs", "afpfs", "afs", "webdav", "davfs", "ncpfs", "lustre", "gpfs", "beegfs",
        "ceph", "panfs", "pvfs2", "wekafs", "fuse.sshfs", "fuse.ceph", "fuse.ceph-fuse", "fuse.glusterfs",
        "fuse.juicefs", "fuse.moosefs", "fuse.s3fs", "fuse.gcsfuse", "fuse.rclone", "fuse.drive", "fuse.cifs",
    }
)  # fmt: skip


def network_file_system(file: Path) -> str | None:
    """The kind of network file system that a file lies on, or would; None on the machine's own, as far as is told."""
    place = file.resolve()
    around = [p for p in psutil.disk_partitions(all=True) if place.is_relative_to(p.mountpoint)]
    # the innermost; of two at one place the later, which hides the earlier
    found = max(reversed(around), key=lambda partition: len(partition.mountpoint), default=None)
    remote = found and (found.fstype in NETWORK or "remote" in found.opts.split(","))  # the latter: Windows
    return found.fstype if found and remote else None

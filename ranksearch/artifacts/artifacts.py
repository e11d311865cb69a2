"""Files that a study's machines share besides the database: bases, elastic adapter, networks, checkpoints."""

import hashlib
import shutil
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from optuna.artifacts import Boto3ArtifactStore
from optuna.artifacts.exceptions import ArtifactNotFound

from ..errors import StorageError, StudyFileError, WeightsError, describe
from ..study import StudyFile, sqlite_file
from ..subject.cache import cache_folder
from ..whole_file import whole_file


@dataclass(frozen=True)
class Artifacts:
    """Files by name, in a folder or an S3 bucket.

    Attributes:
        folder: the files themselves, or local copies of those in the bucket.
        remote: Optuna's store over the bucket; None for a folder.
        prefix: of the keys in the bucket.
    """

    folder: Path
    remote: Boto3ArtifactStore | None = None
    prefix: str = ""

    @classmethod
    def of(cls, study: StudyFile, id: str) -> "Artifacts":
        """Where ``search.artifacts`` says; else a folder beside the SQLite file, or beside the study file.

        Args:
            id: of the study (:attr:`StudyRecord.id`): there may be others of its name, in other databases.

        Raises:
            StudyFileError: S3 without its client, or without a bucket.
        """
        place = study.search.artifacts
        if place is None:
            file = sqlite_file(study.storage_url)
            return cls((file.parent if file else study.folder) / f"{study.name}.networks" / id)
        if "://" not in place:
            return cls(study.resolve(place) / study.name / id)
        url = urlsplit(place)
        if url.scheme != "s3" or not url.netloc:
            raise StudyFileError(f"search.artifacts = {place!r} must be a folder or s3://BUCKET/PREFIX")
        try:
            remote = Boto3ArtifactStore(url.netloc)
        except ImportError:
            raise StudyFileError(
                f'search.artifacts = {place!r} needs a client that is not installed: pip install "ranksearch[s3]"'
            ) from None
        prefix = "/".join(part for part in (url.path.strip("/"), study.name, id) if part)
        copies = hashlib.sha256(place.encode()).hexdigest()[:16]
        return cls(cache_folder() / "artifacts" / copies / study.name / id, remote, f"{prefix}/")

    def __str__(self) -> str:
        return f"s3://{self.remote.bucket}/{self.prefix}" if self.remote else str(self.folder)

    def path(self, name: str) -> Path:
        """The local file, whether it is there or not."""
        return self.folder / name

    def put(self, name: str, write: Callable[[Path], object]) -> Path:
        """Stores what ``write`` writes, whole or not at all, to the path that it is given."""
        self.folder.mkdir(parents=True, exist_ok=True)
        write(self.path(name))
        self._upload(name)
        return self.path(name)

    def get(self, name: str) -> Path | None:
        """The local file, fetched anew from a bucket; None where there is none of that name."""
        path = self.path(name)
        if self.remote is None:
            return path if path.exists() else None
        try:
            with (
                whole_file(path) as part,
                self._reaching(),
                closing(self.remote.open_reader(self.prefix + name)) as source,
                part.open("wb") as sink,
            ):
                shutil.copyfileobj(source, sink)
        except ArtifactNotFound:
            return None
        return path

    def require(self, name: str, digest: str, what: str) -> Path:
        """The local file whose bytes have this :func:`file_digest`.

        Raises:
            WeightsError: none can be had from here, or another one.
        """
        here = self.path(name)
        if here.exists() and file_digest(here) == digest:
            return here
        remedy = (
            "Put it back; or set search.artifacts to a folder or an s3:// bucket that every machine of the study "
            "reaches; or give the study a new name"
        )
        if (path := self.get(name)) is None:
            raise WeightsError(f"{here}: {what} is not in {self}: deleted, or made on another machine. {remedy}")
        if (found := file_digest(path)) != digest:
            raise WeightsError(f"{path}: not {what}, or damaged (digest {found}, booked {digest}). {remedy}")
        return path

    def remove(self, name: str) -> None:
        """Drops a file, where it is there."""
        self.path(name).unlink(missing_ok=True)
        if self.remote:
            with self._reaching():
                self.remote.remove(self.prefix + name)

    def checkpoint(self, name: str) -> tuple[Path, Callable[[], None]]:
        """A file that is written again and again, fetched first where there is one; the second value sends it on
        whenever it is called and the file has changed. Who needs it no more removes it."""
        path = self.get(name) or self.path(name)
        path.parent.mkdir(parents=True, exist_ok=True)
        sent = _changed(path)

        def send() -> None:
            nonlocal sent
            if sent != (now := _changed(path)):
                self._upload(name)
                sent = now

        return path, send

    def _upload(self, name: str) -> None:
        if self.remote:
            with self._reaching(), self.path(name).open("rb") as file:
                self.remote.write(self.prefix + name, file)

    @contextmanager
    def _reaching(self) -> Iterator[None]:
        """Turns what an S3 client can throw into a :class:`StorageError`: it has tried several times by itself."""
        from botocore.exceptions import BotoCoreError

        try:
            yield
        except Exception as error:
            of_disk = isinstance(error, OSError) and not isinstance(error, BotoCoreError)  # a client's timeout is both
            if of_disk or isinstance(error, ArtifactNotFound):
                raise
            raise StorageError(f"{self} cannot be reached: {describe(error)}; the same command goes on later") from None


def _changed(path: Path) -> int | None:
    return path.stat().st_mtime_ns if path.exists() else None


def file_digest(path: Path) -> str:
    """Sixteen hexadecimal digits over the file's bytes."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()[:16]

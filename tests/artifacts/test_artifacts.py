"""Files that a study's machines share: in a folder, or through a real S3 server on loopback."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from ranksearch.artifacts.artifacts import Artifacts, file_digest
from ranksearch.errors import StorageError, StudyFileError, WeightsError
from ranksearch.study import opened_file

Write = Callable[..., Path]


@pytest.fixture(scope="module")
def s3() -> Iterator[str]:
    """The address of an S3 server with the bucket ``studies``."""
    try:
        import boto3
        from moto.server import ThreadedMotoServer
    except ImportError as missing:
        (pytest.fail if os.environ.get("CI") else pytest.skip)(f"no S3 server: {missing}")
    server = ThreadedMotoServer("127.0.0.1", 0)
    server.start()
    host, port = server.get_host_and_port()
    settings = {
        "AWS_ENDPOINT_URL": f"http://{host}:{port}",
        "AWS_ACCESS_KEY_ID": "a",
        "AWS_SECRET_ACCESS_KEY": "b",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_MAX_ATTEMPTS": "1",
    }
    with pytest.MonkeyPatch.context() as patch:
        for name, value in settings.items():
            patch.setenv(name, value)
        boto3.client("s3").create_bucket(Bucket="studies")
        yield settings["AWS_ENDPOINT_URL"]
    server.stop()


def at(place: str | None, write: Write) -> Artifacts:
    return Artifacts.of(opened_file(write(), {"artifacts": place}), "1f")


def machine(name: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """From now on this is another machine, with a cache of its own."""
    monkeypatch.setenv("RANKSEARCH_CACHE", str(tmp_path / name))


def test_beside_the_storage_unless_told(write: Write, tmp_path: Path) -> None:
    assert at(None, write).folder == tmp_path / "bars.networks" / "1f"
    elsewhere = opened_file(write(), {"storage": "sqlite:///the%25re/b.db"})
    of_several = tmp_path / "the%re" / "bars.networks" / "1f"  # in b.db, its own
    assert Artifacts.of(elsewhere, "1f").folder == of_several
    shared = opened_file(write(), {"storage": "postgresql://me:secret@host/studies"})
    assert Artifacts.of(shared, "1f").folder == tmp_path / "bars.networks" / "1f"
    assert at("shared", write).folder == tmp_path / "shared" / "bars" / "1f"  # one folder serves many studies


@pytest.mark.parametrize("place", ["s3://", "gs://bucket/prefix"])
def test_other_places_are_refused(place: str, write: Write) -> None:
    with pytest.raises(StudyFileError, match="must be a folder or s3://BUCKET/PREFIX"):
        at(place, write)


def test_a_missing_client_is_named(write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(bucket: str) -> None:
        raise ImportError("boto3")

    monkeypatch.setattr("ranksearch.artifacts.artifacts.Boto3ArtifactStore", missing)
    with pytest.raises(StudyFileError, match=r'pip install "ranksearch\[s3\]"'):
        at("s3://bucket", write)


@pytest.fixture(params=["folder", "s3"])
def place(request: pytest.FixtureRequest) -> str:
    if request.param == "folder":
        return "shared"
    request.getfixturevalue("s3")
    return f"s3://studies/{request.node.name}"


def test_what_one_machine_stores_another_one_gets(
    place: str, write: Write, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    machine("here", monkeypatch, tmp_path)
    here = at(place, write)
    assert here.get("file") is None
    digest = file_digest(here.put("file", lambda path: path.write_text("content")))
    machine("there", monkeypatch, tmp_path)
    there = at(place, write)
    assert there.require("file", digest, "the file").read_text() == "content"
    got = there.get("file")
    assert got is not None
    assert got.read_text() == "content"
    here.put("file", lambda path: path.write_text("new"))
    assert there.get("file").read_text() == "new"  # type: ignore[union-attr]
    there.remove("file")
    there.remove("file")
    assert here.get("file") is None


def test_what_cannot_be_had_is_told(place: str, write: Write) -> None:
    artifacts = at(place, write)
    with pytest.raises(WeightsError, match=r"bases\.safetensors: the study's bases is not in .*search\.artifacts"):
        artifacts.require("bases.safetensors", "12", "the study's bases")
    artifacts.put("bases.safetensors", lambda path: path.write_text("others"))
    with pytest.raises(
        WeightsError, match=r"not the study's bases, or damaged \(digest \w{16}, booked 12\)\. Put it back"
    ):
        artifacts.require("bases.safetensors", "12", "the study's bases")


def test_a_checkpoint_goes_on_elsewhere(
    place: str, write: Write, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    machine("here", monkeypatch, tmp_path)

    path, send = at(place, write).checkpoint("run")
    assert not path.exists()
    path.write_text("step 5")
    send()
    machine("there", monkeypatch, tmp_path)
    there = at(place, write)
    path, send = there.checkpoint("run")
    assert path.read_text() == "step 5"
    send()
    there.remove("run")
    assert there.get("run") is None


def test_a_clients_timeout_is_no_error_of_the_disk(write: Write, s3: str, monkeypatch: pytest.MonkeyPatch) -> None:
    import botocore.exceptions

    artifacts = at("s3://studies", write)
    failures = (botocore.exceptions.ReadTimeoutError(endpoint_url="s3"), OSError(28, "No space left on device"))
    for failure, expected in zip(failures, (StorageError, OSError), strict=True):

        def fail(key: str, failure: Exception = failure) -> Any:
            raise failure

        monkeypatch.setattr(artifacts.remote, "open_reader", fail)
        with pytest.raises(expected):
            artifacts.get("file")


def test_a_bucket_out_of_reach_is_no_refusal(write: Write, s3: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    artifacts = at("s3://studies", write)
    attempts: list[Callable[[], Any]] = [
        lambda: artifacts.get("file"),
        lambda: artifacts.remove("file"),
        lambda: artifacts.put("file", lambda path: path.write_text("x")),
    ]
    for attempt in attempts:
        told = r"s3://studies/bars/1f/ cannot be reached: .*; the same command goes on"
        with pytest.raises(StorageError, match=told):
            attempt()


def test_a_study_in_a_bucket_is_worked_on_and_taken_away_from_other_machines(
    s3: str, write: Write, ranksearch: Callable[..., Any], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    path = write(search={"trials": 2, "artifacts": "s3://studies/shared"}, training={"images": 128})
    machine("here", monkeypatch, tmp_path)
    assert ranksearch("search", path).code == 0
    assert not path.with_suffix(".networks").exists()
    machine("there", monkeypatch, tmp_path)
    assert ranksearch("worker", path, "--trials", 3).code == 0
    machine("elsewhere", monkeypatch, tmp_path)
    taken = tmp_path / "small.safetensors"
    left = ranksearch("export", path, "--select", "smallest", "--to", "safetensors", "-o", taken)
    assert (left.code, left.err) == (0, "")
    assert ranksearch("evaluate", taken, "--study", path).code == 0

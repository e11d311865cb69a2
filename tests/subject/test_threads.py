"""Cores come from what is asked for, else from the scheduler, the container, the machine."""

from pathlib import Path

import psutil
import pytest

from ranksearch.errors import StudyFileError
from ranksearch.subject import threads
from ranksearch.subject.threads import granted_cores, heed_grant, use_cores

CORES = len(psutil.Process().cpu_affinity() or [0])


def test_cores_are_shared_out_or_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    given: list[int] = []
    monkeypatch.setattr("torch.set_num_threads", given.append)
    monkeypatch.setattr("ranksearch.subject.threads.granted_cores", lambda: 6)
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    assert [use_cores(share=share) for share in (1, 2, 4, 12)] == [6, 3, 1, 1]
    assert use_cores(3, share=2) == 3
    assert given == [6, 3, 1, 1, 3]
    monkeypatch.setenv("OMP_NUM_THREADS", "2,1")
    assert [use_cores(), use_cores(share=6), use_cores(4)] == [2, 1, 4]
    use_cores()


def test_no_more_than_granted_and_no_more_than_there_were(monkeypatch: pytest.MonkeyPatch) -> None:
    given: list[int] = []
    monkeypatch.setattr("torch.set_num_threads", given.append)
    monkeypatch.setattr("torch.get_num_threads", lambda: 4)
    monkeypatch.setattr(threads, "_asked", False)
    for granted in (2, 16):
        monkeypatch.setattr(threads, "granted_cores", lambda granted=granted: granted)
        heed_grant()
    assert given == [2, 4]
    use_cores(8)
    heed_grant()  # asked for is asked for
    assert given == [2, 4, 8]


@pytest.mark.parametrize(
    ("limit", "cores"),
    [("max 100000", CORES), ("100000 100000", 1), ("50000 100000", 1), ("6400000 100000", CORES), ("nonsense", CORES)],
)
def test_a_containers_quota_counts(limit: str, cores: int, tmp_path: Path) -> None:
    (tmp_path / "cpu.max").write_text(limit + "\n")
    assert granted_cores({}, tmp_path / "cpu.max") == cores
    assert granted_cores({}, tmp_path / "nothing") == CORES


def test_slurms_allocation_counts(tmp_path: Path) -> None:
    nothing = tmp_path / "nothing"
    assert granted_cores({"SLURM_CPUS_PER_TASK": "1"}, nothing) == 1
    assert granted_cores({"SLURM_CPUS_PER_TASK": "4096"}, nothing) == CORES
    with pytest.raises(StudyFileError, match=r"SLURM_CPUS_PER_TASK = 'many'"):
        granted_cores({"SLURM_CPUS_PER_TASK": "many"}, nothing)

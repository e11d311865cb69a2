"""Which dense networks and devices are refused."""

from pathlib import Path

import numpy as np
import pytest
import torch

from ranksearch.errors import DenseAccuracyError, StudyFileError
from ranksearch.progressive import CLASSIFICATION, Precision, Task
from ranksearch.runner.session import Session
from ranksearch.subject.device import torch_device
from ranksearch.subject.subject import check_dense, probe


@pytest.mark.parametrize(("classes", "images", "least"), [(10, 5000, 0.1127), (10, 500, 0.1402), (2, 128, 0.6326)])
def test_chance_is_left_by_three_standard_deviations(classes: int, images: int, least: float) -> None:
    check_dense(least + 1e-4, classes, images)
    with pytest.raises(DenseAccuracyError, match=rf"near chance .* for {classes} classes; at least {least:.2%} of"):
        check_dense(least - 1e-4, classes, images)


def test_what_the_study_expects_counts_besides() -> None:
    check_dense(0.9, 10, 500, expected=0.9)
    with pytest.raises(DenseAccuracyError, match=r"reaches 89\.00%.*expect_accuracy = 90\.00%"):
        check_dense(0.89, 10, 500, expected=0.9)
    check_dense(0.0, None, 500)  # targets are no classes: there is no chance to speak of


def test_the_stages_keep_search_and_test_apart(session: Session) -> None:
    search, final = session.subject.search_stage, session.subject.final_stage
    assert (len(search.train), len(search.measured), search.split) == (512, 128, "search")
    assert (len(final.train), len(final.measured), final.split) == (640, 128, "test")
    assert search.measured.fingerprint != final.measured.fingerprint
    assert search.dense_outputs.shape == final.dense_outputs.shape == (128, 4)
    assert (search.reestimate, final.reestimate) == (128, 640)


def test_a_sample_is_exact_in_size_and_knows_no_period(session: Session) -> None:
    stage = session.subject.search_stage
    few = stage.sample(100)
    rows = few.measured.rows.tolist()
    assert len(rows) == len(few.dense_outputs) == 100
    assert len(set(np.diff(rows))) > 2  # labels may be in turn: every so manieth image would be of few classes
    assert rows == stage.sample(100).measured.rows.tolist()
    assert torch.equal(few.dense_outputs, stage.dense_outputs[[stage.measured.rows.tolist().index(r) for r in rows]])
    assert len(stage.sample(1000).measured) == 128


def test_devices() -> None:
    assert torch_device("cpu").type == "cpu"
    assert torch_device(None).type in ("cpu", "cuda", "mps")
    for unknown in ("tpu", "cpu:x", ""):
        with pytest.raises(StudyFileError, match="allowed: cpu, cuda, mps"):
            torch_device(unknown)
    with pytest.raises(StudyFileError, match="not on this machine"):
        torch_device("cuda:97")


def test_a_machine_is_probed_once_for_a_network(
    session: Session, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    subject, found = session.subject, [Precision("bfloat16"), Precision()]
    monkeypatch.setenv("RANKSEARCH_CACHE", str(tmp_path))
    monkeypatch.setattr("ranksearch.subject.subject.probe_precision", lambda *of: found.pop())
    given = (subject.network, subject.splits.train, 16)
    assert probe(*given, CLASSIFICATION, subject.device) == Precision()
    assert probe(*given, CLASSIFICATION, subject.device) == Precision()
    assert probe(*given, Task.of(torch.nn.functional.l1_loss), subject.device) == Precision("bfloat16")
    assert not found

"""A machine is probed once for a network."""

from pathlib import Path

import pytest
import torch

from ranksearch.progressive import CLASSIFICATION, Precision, Task
from ranksearch.runner.session import Session
from ranksearch.subject.fast_precision import fast_precision


def test_a_machine_is_probed_once_for_a_network(
    session: Session, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    subject, found = session.subject, [Precision("bfloat16"), Precision()]
    monkeypatch.setenv("RANKSEARCH_CACHE", str(tmp_path))
    monkeypatch.setattr("ranksearch.subject.fast_precision.probe_precision", lambda *of: found.pop())
    given = (subject.network, subject.splits.train, 16)
    assert fast_precision(*given, CLASSIFICATION, subject.device) == Precision()
    assert fast_precision(*given, CLASSIFICATION, subject.device) == Precision()
    assert fast_precision(*given, Task.of(torch.nn.functional.l1_loss), subject.device) == Precision("bfloat16")
    assert not found

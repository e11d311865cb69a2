"""Bases of a study: calibrated once, read from the cache afterwards, made again where anything they rest on changes."""

import logging
from dataclasses import replace
from pathlib import Path

import msgspec
import pytest
import torch
from torch import nn

from ranksearch.decomposition import NestedBases
from ranksearch.layers import Basis, LayerRanks, Svd, Tucker2
from ranksearch.progressive import Task
from ranksearch.runner.session import Session
from ranksearch.subject.subject import Subject

BOTH: Basis = "activations+gradients"


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> Path:
    monkeypatch.setenv("RANKSEARCH_CACHE", str(tmp_path))
    caplog.set_level(logging.INFO, "ranksearch.subject")
    return tmp_path / "bases"


def kernels(bases: dict[str, NestedBases]) -> dict[str, torch.Tensor]:
    def ranks(of: NestedBases) -> LayerRanks:
        return Svd(2) if of.spec.format == "svd" else Tucker2(2, 1)

    return {name: of.factors(ranks(of)).kernel() for name, of in bases.items()}


def test_the_second_time_they_are_read(session: Session, cache: Path, caplog: pytest.LogCaptureFixture) -> None:
    first = session.subject.bases(BOTH)
    assert "500 training images" in caplog.text
    (file,) = cache.iterdir()
    second = session.subject.bases(BOTH)
    assert f"read from {file}" in caplog.text
    for name, kernel in kernels(first).items():
        assert torch.equal(kernels(second)[name], kernel)
    assert all(of.table.in_loss for of in second.values())


def test_a_corrupt_file_is_made_again(session: Session, cache: Path, caplog: pytest.LogCaptureFixture) -> None:
    session.subject.bases("activations")
    (file,) = cache.iterdir()
    whole = file.read_bytes()
    file.write_bytes(whole[: len(whole) // 2])
    session.subject.bases("activations")
    assert "read from" not in caplog.text
    assert file.read_bytes() == whole


def test_whatever_they_rest_on_names_the_file(session: Session, cache: Path) -> None:
    subject = session.subject
    fewer = replace(subject.splits, train=subject.splits.train.subset(range(100)))
    fewer_layers = msgspec.structs.replace(subject.spec, layers=subject.spec.layers[:2])
    others: list[Subject] = [
        subject,
        replace(subject, weights="0" * 16),
        replace(subject, sample_outputs=(1.0,)),
        replace(subject, splits=fewer),
        replace(subject, spec=fewer_layers),
    ]
    for number, other in enumerate(others, 1):
        other.bases(BOTH)
        assert len(list(cache.iterdir())) == number
    subject.bases("activations")
    assert len(list(cache.iterdir())) == 6
    subject.bases("weights")  # a moment's work
    assert len(list(cache.iterdir())) == 6


def test_a_loss_of_ones_own_gives_the_gradients_and_is_not_kept(session: Session, cache: Path) -> None:
    asked = []

    def loss(outputs: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        asked.append(len(outputs))
        return nn.functional.mse_loss(outputs, nn.functional.one_hot(targets, 4).float())

    own = replace(session.subject, task=Task.of(loss)).bases(BOTH)
    assert asked == [1] * 500
    assert not cache.exists()
    classified = session.subject.bases(BOTH)
    assert any(own[name].table.total != pytest.approx(of.table.total) for name, of in classified.items())


def test_a_cache_that_cannot_be_written_is_said_and_survived(
    session: Session, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("RANKSEARCH_CACHE", str(tmp_path / "file"))
    assert session.subject.bases("activations")
    assert "not kept" in caplog.text

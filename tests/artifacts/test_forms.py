"""``--form``: one for all layers, or for each the fastest; what the rank file then says, and what computes the same."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from ranksearch.artifacts.forms import EVERY, Forms
from ranksearch.errors import SelectionError
from ranksearch.export import load_compressed, read_ranks
from ranksearch.layers import LayerForm, RankConfiguration, Svd, Tucker2
from ranksearch.records import RankFile
from ranksearch.runner.session import Session
from ranksearch.subject.trial import untrained

Command = Callable[..., Any]
CONFIGURATION = RankConfiguration({"0": Tucker2(5, 1), "4": Tucker2(7, 5), "8": Svd(3)})


@pytest.fixture(scope="module")
def network(session: Session) -> nn.Module:
    return untrained(session.subject, session.bases, CONFIGURATION, "pivoted")[0]


@pytest.fixture
def ranks() -> RankFile:
    return RankFile(network={}, configuration=CONFIGURATION, form="pivoted")


def inputs(session: Session) -> torch.Tensor:
    return next(session.subject.splits.search.batches(16))[0]


@pytest.mark.parametrize(
    ("text", "form", "others"),
    [
        ("plain", "plain", {}),
        ("pivoted", "pivoted", {}),
        ("dense", "plain", {"0": "dense", "4": "dense", "8": "dense"}),
        ("merged-out", "pivoted", {"0": "merged-out", "4": "merged-out"}),  # an SVD has none: it stays as it was
    ],
)
def test_one_form_is_every_layers_that_can_take_it(
    text: str, form: str, others: dict[str, LayerForm], session: Session, network: nn.Module, ranks: RankFile
) -> None:
    made, told, timed = Forms.parse(text, "torch", 1).apply(network, ranks, session.subject.splits.train.example())
    assert (told.form, told.layer_forms, timed) == (form, others, ())
    torch.testing.assert_close(made(inputs(session)), network(inputs(session)), rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("runtime", ["torch", "onnxruntime"])
def test_each_layer_gets_the_fastest_of_those_allowed(
    runtime: str, session: Session, network: nn.Module, ranks: RankFile
) -> None:
    if runtime == "onnxruntime":
        pytest.importorskip("onnxruntime")
    forms = Forms.parse("plain,dense", runtime, 4)
    made, told, timed = forms.apply(network, ranks, session.subject.splits.train.example())
    assert [layer.name for layer in timed] == ["0", "4", "8"]
    assert all(latency.batch == 4 for layer in timed for latency in layer.forms.values())
    chosen = {layer.name: layer.fastest(("plain", "dense")) for layer in timed}
    assert told.form == "plain"
    assert told.layer_forms == {name: form for name, form in chosen.items() if form == "dense"}
    torch.testing.assert_close(made(inputs(session)), network(inputs(session)), rtol=1e-3, atol=1e-4)


def test_fastest_means_any_form() -> None:
    assert Forms.parse("fastest", "torch", 1).allowed == EVERY


@pytest.mark.parametrize(
    ("text", "runtime", "message"),
    [
        ("fast", "torch", "--form 'fast' is unknown; allowed: fastest, or some of plain, pivoted"),
        ("plain,", "torch", "--form '' is unknown"),
        ("plain", "tensorrt", "--runtime 'tensorrt' is unknown; allowed: torch, onnxruntime"),
    ],
)
def test_what_is_unknown_is_refused(text: str, runtime: str, message: str) -> None:
    with pytest.raises(SelectionError, match=message):
        Forms.parse(text, runtime, 1)


def test_merged_layers_have_no_way_back(session: Session, network: nn.Module, ranks: RankFile) -> None:
    example = session.subject.splits.train.example()
    made, told, _ = Forms.parse("dense", "torch", 1).apply(network, ranks, example)
    with pytest.raises(SelectionError, match="no way back"):
        Forms.parse("plain", "torch", 1).apply(made, told, example)


def test_a_search_ends_in_a_checkpoint_of_the_fastest_forms(
    write: Command, ranksearch: Command, tmp_path: Path, session: Session
) -> None:
    path = write(search={"trials": 2})
    assert ranksearch("search", path).code == 0
    for form in ("pivoted", "fastest", "merged-out"):
        to = ["--to", "safetensors", "--form", form, "-o", tmp_path / f"{form}.safetensors"]
        assert ranksearch("export", path, *to).code == 0
    refused = ranksearch("export", path, "--form", "plain")
    assert (refused.code, "--to ranks holds none" in refused.err) == (2, True)
    as_measured, *others = (tmp_path / f"{form}.safetensors" for form in ("pivoted", "fastest", "merged-out"))
    one, two, three = (
        load_compressed(session.subject.network, file)(inputs(session)) for file in (as_measured, *others)
    )
    torch.testing.assert_close(two, one, rtol=1e-3, atol=1e-4)
    torch.testing.assert_close(three, one, rtol=1e-3, atol=1e-4)
    assert read_ranks(as_measured).layer_forms == {}
    shown = ranksearch("evaluate", as_measured, "--study", path, "--layers", "torch", "--batch", 2)
    assert "Layers alone: µs by form, torch, batch 2" in shown.out
    shown = ranksearch("evaluate", others[1], "--study", path)
    assert "merged-out: " in " ".join(shown.out.split())
    refused = ranksearch("evaluate", others[1], "--study", path, "--layers", "torch")
    assert (refused.code, "no way back" in refused.err) == (2, True)

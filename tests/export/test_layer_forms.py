"""The forms of a network's layers: the same function in each, timed on what the layers get, chosen by the clock."""

from pathlib import Path

import pytest
import torch
from torch import nn

from ranksearch.decomposition import network_bases
from ranksearch.errors import RankError
from ranksearch.export import (
    LayerLatency,
    in_forms,
    layer_latencies,
    load_compressed,
    read_ranks,
    save_compressed,
)
from ranksearch.layers import Dense, LayerForm, RankConfiguration, Svd, Tucker2, network_cost
from ranksearch.networks import walk
from ranksearch.progressive import attach, collapse, set_decay
from ranksearch.records import NO_DECAY, Latency, RankFile

CONFIGURATION = RankConfiguration({"0": Tucker2(5, 2), "3": Tucker2(6, 4), "5": Dense("fine as it is"), "7": Svd(4)})
EXAMPLE = torch.rand(1, 3, 9, 9)


def dense_network() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(3, 8, 3, padding=1, bias=False), nn.BatchNorm2d(8), nn.ReLU(), nn.Conv2d(8, 12, 3, stride=2),
        nn.ReLU(), nn.Conv2d(12, 6, 1), nn.Flatten(), nn.Linear(6 * 16, 10),
    ).eval()  # fmt: skip


def compressed_network(form: str = "pivoted") -> nn.Module:
    network = dense_network()
    bases = network_bases(network, walk(network, EXAMPLE))
    attached = attach(network, bases, CONFIGURATION)
    set_decay(attached, NO_DECAY, progress=0)
    return collapse(attached, form)  # type: ignore[arg-type]


MIXED: dict[str, LayerForm] = {"0": "merged-out", "3": "merged-in", "7": "dense"}


def test_every_compressed_layer_is_timed_in_every_form_on_the_input_that_it_gets() -> None:
    found = layer_latencies(compressed_network(), CONFIGURATION, EXAMPLE, batch=4, rounds=3)
    assert [(layer.name, layer.shape) for layer in found] == [("0", (4, 3, 9, 9)), ("3", (4, 8, 9, 9)), ("7", (4, 96))]
    assert list(found[0].forms) == ["plain", "pivoted", "merged-in", "merged-out", "dense"]
    assert list(found[2].forms) == ["plain", "pivoted", "dense"]
    assert all(latency.batch == 4 and latency.median > 0 for layer in found for latency in layer.forms.values())


def test_another_runtime_runs_the_layers() -> None:
    prepared: list[tuple[int, ...]] = []

    def prepare(layer: nn.Module, x: torch.Tensor) -> nn.Module:
        prepared.append(tuple(x.shape))
        return layer

    layer_latencies(compressed_network(), CONFIGURATION, EXAMPLE, rounds=2, prepare=prepare)
    assert prepared == [(1, 3, 9, 9)] * 5 + [(1, 8, 9, 9)] * 5 + [(1, 96)] * 3


def timed(params: dict[LayerForm, int], **seconds: float) -> LayerLatency:
    forms: dict[LayerForm, Latency] = {form: Latency(1, seconds[form], 0, 0) for form in params}
    return LayerLatency("0", Svd(2), (1, 4), forms, params)


def test_the_fastest_of_the_allowed_forms() -> None:
    layer = timed({"plain": 8, "pivoted": 6, "dense": 16}, plain=3.0, pivoted=4.0, dense=1.0)
    assert layer.fastest(("plain", "pivoted", "merged-in", "dense")) == "dense"
    assert layer.fastest(("plain", "pivoted")) == "plain"


def test_of_equally_fast_forms_the_smallest_is_taken() -> None:
    layer = timed({"plain": 8, "pivoted": 6, "dense": 16}, plain=1.02, pivoted=1.1, dense=1.0)
    assert layer.fastest(("plain", "pivoted", "dense")) == "plain"


@pytest.mark.parametrize("form", ["plain", "pivoted"])
def test_a_network_in_mixed_forms_computes_the_same(form: str) -> None:
    network = compressed_network(form)
    before = {name: value.clone() for name, value in network.state_dict().items()}
    x = torch.rand(5, 3, 9, 9)
    torch.testing.assert_close(in_forms(network, MIXED)(x), network(x), rtol=1e-4, atol=1e-5)
    assert all(torch.equal(before[name], value) for name, value in network.state_dict().items())


def test_a_checkpoint_in_mixed_forms_reloads_and_counts_what_it_stores(tmp_path: Path) -> None:
    network = in_forms(compressed_network("plain"), MIXED)
    ranks = RankFile(network={}, configuration=CONFIGURATION, form="plain", layer_forms=MIXED)
    path = save_compressed(network, ranks, tmp_path / "mixed.safetensors")
    loaded = load_compressed(dense_network(), path)
    x = torch.rand(5, 3, 9, 9)
    assert torch.equal(loaded(x), network(x))
    assert read_ranks(path).layer_forms == MIXED
    counted = network_cost(walk(dense_network(), EXAMPLE), CONFIGURATION, "plain", MIXED)
    assert counted.params == sum(p.numel() for p in loaded.parameters())


def test_a_form_that_a_layer_cannot_take_is_refused_by_its_name() -> None:
    with pytest.raises(RankError, match="layer '7' runs in the forms plain, pivoted, dense, not 'merged-in'"):
        RankFile(network={}, configuration=CONFIGURATION, layer_forms={"7": "merged-in"})

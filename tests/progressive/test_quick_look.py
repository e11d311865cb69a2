"""A quick look at many configurations says what collapsing and measuring each would say."""

import pytest
import torch
from torch import nn

from ranksearch.layers import Dense, RankConfiguration, Svd, Tucker2
from ranksearch.networks import Resident
from ranksearch.progressive import (
    CLASSIFICATION,
    Precision,
    QuickLook,
    attach,
    collapse,
    measure,
    predict,
    reestimate_batch_norm,
    set_decay,
)
from ranksearch.records import NO_DECAY, Measurement

CONFIGURATIONS = (
    RankConfiguration({"stem": Tucker2(4, 3), "body": Tucker2(5, 4), "point": Svd(4), "head": Svd(3)}),
    RankConfiguration({"stem": Tucker2(2, 1), "body": Tucker2(1, 1)}),  # the other layers go back to dense
    RankConfiguration({"stem": Dense("as it is"), "body": Tucker2(8, 8), "point": Svd(1)}),
)


@pytest.fixture
def examples() -> Resident:
    generator = torch.Generator().manual_seed(1)
    return Resident.of(torch.randn(120, 3, 8, 8, generator=generator), torch.arange(120) % 4)


@pytest.mark.parametrize("precision", [Precision(), Precision("float32", channels_last=True)])
def test_it_says_what_measuring_the_collapsed_network_says(
    network: nn.Module, bases_of, examples: Resident, precision: Precision  # type: ignore[no-untyped-def]
) -> None:  # fmt: skip
    bases = bases_of(network, "stem", "body", "point", "head")
    train, measured = examples.subset(range(80)), examples.subset(range(80, 120))
    dense = predict(network, measured)
    before = {name: value.clone() for name, value in network.state_dict().items()}
    look = QuickLook.of(network, bases, train, 50, measured, dense, precision=precision)

    def slowly(configuration: RankConfiguration) -> Measurement:
        attached = attach(network, bases, configuration)
        set_decay(attached, NO_DECAY, 0.0)
        whole = reestimate_batch_norm(collapse(attached, "pivoted"), train, 50, precision=precision)
        return measure(whole, measured, dense_outputs=dense, task=CLASSIFICATION, precision=precision)

    for configuration in (*CONFIGURATIONS, CONFIGURATIONS[0]):  # nothing is left of the candidate before
        quick, slow = look(configuration), slowly(configuration)
        assert quick.distance == pytest.approx(slow.distance, rel=1e-3, abs=1e-6)
        assert quick.accuracy == pytest.approx(slow.accuracy, abs=1 / 40 + 1e-9)
        assert (quick.split, quick.images) == ("search", 40)
    assert look(CONFIGURATIONS[0]) == look(CONFIGURATIONS[0])
    assert all(torch.equal(before[name], value) for name, value in network.state_dict().items())


def test_outputs_that_are_not_finite_are_a_result(network: nn.Module, bases_of, examples: Resident) -> None:  # type: ignore[no-untyped-def]
    bases = bases_of(network, "stem", "body")
    look = QuickLook.of(network, bases, examples, 50, examples, predict(network, examples))
    look.network.get_submodule("head").weight.data.fill_(torch.inf)
    assert look(CONFIGURATIONS[1]) == Measurement(0.0, None, "search", 120)


def test_a_network_of_one_layer(bases_of) -> None:  # type: ignore[no-untyped-def]
    examples = Resident.of(torch.randn(20, 6, generator=torch.Generator().manual_seed(0)), torch.arange(20) % 4)
    layer = nn.Linear(6, 4)
    network = nn.Sequential(layer)
    look = QuickLook.of(network, bases_of(network, "0"), examples, 20, examples, predict(network, examples))
    assert look(RankConfiguration({"0": Svd(1)})).distance > 0  # type: ignore[operator]
    assert look(RankConfiguration({})).distance == pytest.approx(0, abs=1e-9)

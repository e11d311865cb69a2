import torch
from torch import nn

from ranksearch.decomposition.pivoted import PivotedInput, PivotedOutput


def test_output_places_pivots_and_others() -> None:
    layer = PivotedOutput(nn.Linear(2, 1, bias=False), channels=3)
    layer.order.copy_(torch.tensor([0, 2, 1]))  # pivots are channels 0 and 2
    x = torch.randn(4, 2)
    y = layer(x)
    assert torch.equal(y[:, [0, 2]], x)
    assert torch.equal(y[:, 1:2], layer.mix(x))


def test_input_adds_the_others_onto_the_pivots() -> None:
    layer = PivotedInput(nn.Conv2d(1, 2, 1, bias=False), channels=3, rank=2)
    layer.pivots.copy_(torch.tensor([0, 2]))
    layer.others.copy_(torch.tensor([1]))
    x = torch.randn(2, 3, 4, 5)
    torch.testing.assert_close(layer(x), x[:, [0, 2]] + layer.mix(x[:, [1]]))
    torch.testing.assert_close(layer(x[0]), layer(x)[0])  # an image without a batch


def test_indices_are_buffers_that_survive_a_change_of_dtype() -> None:
    layer = PivotedOutput(nn.Linear(2, 3), channels=5).half()
    assert layer.order.dtype == torch.int64
    assert set(layer.state_dict()) == {"order", "mix.weight", "mix.bias"}
    assert {name for name, _ in layer.named_parameters()} == {"mix.weight", "mix.bias"}

import msgspec
import pytest

from ranksearch.layers import LayerSpec, LeftDense, NetworkSpec

CONV = LayerSpec(
    name="conv",
    kind="conv2d",
    channels_out=8,
    channels_in=4,
    kernel=(1, 3),
    bias=True,
    stride=(1, 2),
    positions_in=64,
    positions_out=32,
)
LINEAR = LayerSpec(name="fc", kind="linear", channels_out=5, channels_in=8, positions_in=1, positions_out=1)
NETWORK = NetworkSpec(
    layers=(CONV, LINEAR),
    left_dense=(LeftDense(name="up", type="ConvTranspose2d", reason="transposed", params=10, macs=20),),
    params=200,
    macs=4000,
    input_shape=(4, 8, 8),
)


def test_what_a_layer_is() -> None:
    assert (CONV.kernel_size, CONV.format, CONV.modes) == (3, "tucker2", ("rank_out", "rank_in"))
    assert (LINEAR.kernel_size, LINEAR.format, LINEAR.modes) == (1, "svd", ("rank",))
    assert (CONV.params, CONV.macs) == (8 * 4 * 3 + 8, 8 * 4 * 3 * 32)
    assert (LINEAR.params, LINEAR.macs) == (40, 40)


def test_what_a_network_is() -> None:
    assert NETWORK.names == ("conv", "fc")
    assert NETWORK["fc"] is LINEAR
    assert (NETWORK.fixed_params, NETWORK.fixed_macs) == (200 - 104 - 40, 4000 - 3072 - 40)
    with pytest.raises(KeyError, match="up"):
        NETWORK["up"]


def test_round_trip() -> None:
    assert msgspec.json.decode(msgspec.json.encode(NETWORK), type=NetworkSpec) == NETWORK

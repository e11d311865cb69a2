"""Compressed checkpoints: what was saved is what is loaded, on the user's own class; everything else is refused."""

import copy
from pathlib import Path

import pytest
import safetensors.torch
import torch
from torch import nn

from ranksearch.errors import NetworkError, RankError, RanksearchError, WeightsError
from ranksearch.export import load_compressed, read_ranks, save_compressed, stored_bytes
from ranksearch.layers import Form

from .compressed_networks import FORMS, NETWORKS, Odd, built, collapsed


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("name", NETWORKS)
def test_a_loaded_network_computes_the_same_bits(name: str, form: Form, tmp_path: Path) -> None:
    network, x = built(name)
    compressed, ranks = collapsed(network, x, form)
    path = save_compressed(compressed, ranks, tmp_path / "made" / "compressed.safetensors")
    torch.manual_seed(1)
    own = NETWORKS[name][0]()  # the user's class, other weights
    before = copy.deepcopy(own.state_dict())
    loaded = load_compressed(own, path)
    assert not loaded.training
    with torch.inference_mode():
        assert torch.equal(loaded(x), compressed(x))
    assert read_ranks(path) == ranks
    assert all(torch.equal(own.state_dict()[key], value) for key, value in before.items()), "the user's network changed"
    assert stored_bytes(loaded) == stored_bytes(compressed) < stored_bytes(network)


def test_shared_modules_and_tied_weights_stay_so(tmp_path: Path) -> None:
    network, x = built("odd")
    compressed, ranks = collapsed(network, x, "pivoted")
    loaded = load_compressed(Odd(), save_compressed(compressed, ranks, tmp_path / "odd.safetensors"))
    assert isinstance(loaded, Odd)
    assert loaded.again is loaded.block[0]
    assert isinstance(loaded.again, nn.Sequential)
    assert loaded.up.weight is loaded.down.weight
    assert isinstance(loaded.grouped, nn.Conv2d)


def test_the_half_precision_of_the_users_network_is_kept(tmp_path: Path) -> None:
    network, x = built("digits")
    compressed, ranks = collapsed(network, x, "plain")
    path = save_compressed(compressed, ranks, tmp_path / "digits.safetensors")
    loaded = load_compressed(NETWORKS["digits"][0]().to(torch.bfloat16), path)
    assert {p.dtype for p in loaded.parameters()} == {torch.bfloat16}
    with torch.inference_mode():
        assert torch.allclose(loaded(x.bfloat16()).float(), compressed(x), atol=0.05)


def test_stored_bytes_count_indices_and_shared_tensors_once() -> None:
    network = nn.Sequential(nn.Linear(4, 3), nn.BatchNorm1d(3))  # 15 + 6 parameters, 6 statistics, an int64 counter
    assert stored_bytes(network) == 4 * (15 + 6 + 6) + 8
    network.append(network[0])
    assert stored_bytes(network) == 4 * (15 + 6 + 6) + 8
    twin = nn.Linear(4, 3)
    twin.weight = network[0].get_parameter("weight")
    network.append(twin)
    assert stored_bytes(network) == 4 * (15 + 6 + 6 + 3) + 8


@pytest.mark.parametrize("taken", [True, False])
def test_torchs_fast_path_is_refused_where_it_would_read_a_compressed_layer(taken: bool, tmp_path: Path) -> None:
    def make() -> nn.Module:
        encoder = nn.TransformerEncoderLayer(16, 2, 32, batch_first=taken)  # it is not where the batch comes second
        return nn.Sequential(encoder, nn.Flatten(), nn.Linear(64, 4))

    try:
        torch.backends.mha.set_fastpath_enabled(False)
        network, x = make().eval(), torch.randn(3, 4, 16)
        path = save_compressed(*collapsed(network, x, "plain"), tmp_path / "encoder.safetensors")
        assert torch.isfinite(load_compressed(make(), path)(x)).all()
    finally:
        torch.backends.mha.set_fastpath_enabled(True)
    if taken:
        assert "set_fastpath_enabled(False) first" in refused(make(), path, NetworkError)
    else:
        assert torch.isfinite(load_compressed(make(), path)(x)).all()


def damaged(path: Path) -> dict[str, tuple[Path, str]]:
    """Files that are no compressed checkpoint, and what must be said of each."""
    folder = path.parent
    truncated, text, pickled, bare, wrong = (
        folder / f"{n}.safetensors" for n in ("cut", "text", "pickle", "bare", "?")
    )
    truncated.write_bytes(path.read_bytes()[:-100])
    text.write_text("not tensors")
    torch.save({"weight": torch.ones(2)}, pickled)
    safetensors.torch.save_file({"weight": torch.ones(2)}, bare)
    state = safetensors.torch.load_file(path)
    safetensors.torch.save_file(state, wrong, {"ranksearch": '{"format": "ranksearch.ranks/9"}'})
    return {
        "missing": (folder / "none.safetensors", "no such"),
        "a folder": (folder, "not a readable safetensors"),
        "truncated": (truncated, "not a readable safetensors"),
        "text": (text, "not a readable safetensors"),
        "pickle": (pickled, "not a readable safetensors"),
        "without ranks": (bare, "without ranks"),
        "ranks of another format": (wrong, "ranksearch.ranks/9"),
    }


def test_other_files_are_refused_in_one_line_that_names_them(tmp_path: Path) -> None:
    network, x = built("odd")
    path = save_compressed(*collapsed(network, x, "plain"), tmp_path / "good.safetensors")
    for case, (file, law) in damaged(path).items():
        with pytest.raises((WeightsError, RankError)) as caught:
            load_compressed(Odd(), file)
        message = str(caught.value)
        assert law in message, case
        assert str(file) in message, case
        assert "\n" not in message, case


def refused(network: nn.Module, path: Path, error: type[RanksearchError]) -> str:
    with pytest.raises(error) as caught:
        load_compressed(network, path)
    assert "\n" not in str(caught.value)
    assert str(path) in str(caught.value)
    return str(caught.value)


def test_another_network_is_refused_by_layer_or_key(tmp_path: Path) -> None:
    network, x = built("odd")
    path = save_compressed(*collapsed(network, x, "plain"), tmp_path / "odd.safetensors")
    assert "no layer 'first'" in refused(nn.Sequential(nn.Linear(2, 2)), path, RankError)

    no_convolution = Odd()
    no_convolution.first = nn.Identity()  # type: ignore[assignment]
    assert "'first' is a Identity" in refused(no_convolution, path, RankError)

    narrow = Odd()
    narrow.first = nn.Conv2d(3, 2, 3)
    assert "'first'" in refused(narrow, path, RankError)

    pointwise = Odd()
    pointwise.first = nn.Conv2d(3, 8, 1)
    assert "'first'" in refused(pointwise, path, RankError)

    more_classes = Odd()
    more_classes.head = nn.Linear(8, 7)
    assert "head.weight is (5, 8) in the file and (7, 8)" in refused(more_classes, path, WeightsError)

    deeper = Odd()
    deeper.extra = nn.Linear(2, 2)
    assert "missing keys: extra.weight, extra.bias" in refused(deeper, path, WeightsError)

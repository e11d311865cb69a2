from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from ranksearch.decomposition import NestedBases, calibrate, network_bases, read_bases, write_bases
from ranksearch.layers import NetworkSpec, Svd, Tucker2
from ranksearch.networks import Resident, walk


@pytest.fixture(scope="module")
def made() -> tuple[NetworkSpec, dict[str, NestedBases]]:
    network = nn.Sequential(nn.Conv2d(2, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(36, 3))
    data = Resident.of(torch.rand(20, 2, 5, 5), torch.arange(20) % 3)
    spec = walk(network, data.example())
    return spec, network_bases(network, spec, calibrate(network, spec, data, "activations+gradients"))


def test_what_is_read_is_what_was_written(made: tuple[NetworkSpec, dict[str, NestedBases]], tmp_path: Path) -> None:
    spec, bases = made
    path = tmp_path / "deep" / "bases.safetensors"
    write_bases(bases, path)
    assert [p.name for p in path.parent.iterdir()] == [path.name]  # no part of it is left lying about
    found = read_bases(spec, path)
    assert found is not None
    assert list(found) == list(bases)
    for name, of in bases.items():
        assert found[name].spec == of.spec
        assert (found[name].table.total, found[name].table.in_loss) == (of.table.total, True)
        assert np.array_equal(found[name].table.distortion, of.table.distortion)
        assert all(map(np.array_equal, found[name].table.spectra, of.table.spectra))
        blocks = (t for t in vars(of).values() if isinstance(t, torch.Tensor))
        read = (t for t in vars(found[name]).values() if isinstance(t, torch.Tensor))
        assert [t.stride() for t in blocks] == [t.stride() for t in read]  # or products would round otherwise
        ranks = Tucker2(2, 1) if of.spec.format == "tucker2" else Svd(2)
        assert torch.equal(found[name].factors(ranks).kernel(), of.factors(ranks).kernel())


@pytest.mark.parametrize("damage", ["missing", "empty", "cut", "garbage", "other layers"])
def test_no_whole_file_is_no_bases(
    made: tuple[NetworkSpec, dict[str, NestedBases]], tmp_path: Path, damage: str
) -> None:
    spec, bases = made
    path = tmp_path / "bases.safetensors"
    write_bases(bases if damage != "other layers" else {"0": bases["0"]}, path)
    content = path.read_bytes()
    if damage == "missing":
        path.unlink()
    elif damage != "other layers":
        path.write_bytes({"empty": b"", "cut": content[:-100], "garbage": b"x" * len(content)}[damage])
    assert read_bases(spec, path) is None


def test_weights_alone_have_fewer_blocks(tmp_path: Path) -> None:
    network = nn.Sequential(nn.Conv2d(2, 4, 3))
    spec = walk(network, torch.zeros(1, 2, 5, 5))
    write_bases(network_bases(network, spec), tmp_path / "bases.safetensors")
    found = read_bases(spec, tmp_path / "bases.safetensors")
    assert found is not None
    assert found["0"].unwhiten_in is None
    assert not found["0"].table.in_loss

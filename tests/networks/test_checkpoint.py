"""Weights of every usual shape load; what does not fit or is damaged is named in one line."""

import os
from pathlib import Path

import pytest
import safetensors.torch
import torch
from safetensors import SafetensorError
from torch import nn

from ranksearch.errors import WeightsError
from ranksearch.networks import build_network, load_weights, save_weights, weights_fingerprint


def network(seed: int = 0) -> nn.Module:
    torch.manual_seed(seed)
    return nn.Sequential(nn.Conv2d(2, 3, 3), nn.BatchNorm2d(3), nn.Flatten(), nn.Linear(12, 2))


SHAPES = {
    "bare": lambda state: state,
    "state_dict": lambda state: {"state_dict": state, "best_prec1": 91.7},
    "model": lambda state: {"epoch": 3, "model": state},
    "net": lambda state: {"net": state, "acc": 0.9},
    "model_state_dict": lambda state: {"epoch": 3, "model_state_dict": state, "loss": 0.1},
    "nested": lambda state: {"model": {"state_dict": state}},
    "module": lambda state: {"state_dict": {f"module.{k}": v for k, v in state.items()}},
    "compiled": lambda state: {f"_orig_mod.{k}": v for k, v in state.items()},
    "stacked": lambda state: {f"_orig_mod.module.{k}": v for k, v in state.items()},
    "stacked the other way": lambda state: {f"module._orig_mod.{k}": v for k, v in state.items()},
    "no counters": lambda state: {k: v for k, v in state.items() if "num_batches" not in k},
}


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("suffix", [".pt", ".pth", ".th"])
def test_usual_shapes(shape, suffix, tmp_path):
    torch.save(SHAPES[shape](dict(network(0).state_dict())), tmp_path / f"w{suffix}")
    target = network(1)
    assert weights_fingerprint(target) != weights_fingerprint(network(0))
    load_weights(target, tmp_path / f"w{suffix}")
    assert weights_fingerprint(target) == weights_fingerprint(network(0))


def test_safetensors(tmp_path):
    safetensors.torch.save_file(
        {f"module.{k}": v for k, v in network(0).state_dict().items()}, tmp_path / "w.safetensors"
    )
    target = network(1)
    load_weights(target, str(tmp_path / "w.safetensors"))
    assert weights_fingerprint(target) == weights_fingerprint(network(0))


def test_bfloat16_goes_into_float32(tmp_path):
    state = {k: v.bfloat16() if v.is_floating_point() else v for k, v in network(0).state_dict().items()}
    torch.save(state, tmp_path / "w.pt")
    target = network(1)
    load_weights(target, tmp_path / "w.pt")
    assert target[0].weight.dtype == torch.float32
    assert torch.equal(target[0].weight, state["0.weight"].float())


def test_a_network_with_such_a_prefix_of_its_own(tmp_path):
    wrapped = nn.ModuleDict({"module": network(0)})
    torch.save(wrapped.state_dict(), tmp_path / "w.pt")
    target = nn.ModuleDict({"module": network(1)})
    load_weights(target, tmp_path / "w.pt")
    assert weights_fingerprint(target) == weights_fingerprint(wrapped)


def test_one_name_of_tied_weights_is_enough(tmp_path):
    def tied() -> nn.Module:
        pair = nn.ModuleDict({"a": nn.Linear(3, 3, bias=False), "b": nn.Linear(3, 3, bias=False)})
        pair["b"].weight = pair["a"].weight
        return pair

    safetensors.torch.save_model(source := tied(), str(tmp_path / "w.safetensors"))
    load_weights(target := tied(), tmp_path / "w.safetensors")
    assert torch.equal(target["a"].weight, source["a"].weight)
    assert target["b"].weight is target["a"].weight
    save_weights(source, tmp_path / "again.safetensors")
    assert safetensors.torch.load_file(tmp_path / "again.safetensors").keys() == {"a.weight"}
    load_weights(again := tied(), tmp_path / "again.safetensors")
    assert torch.equal(again["b"].weight, source["a"].weight)


def test_what_a_module_keeps_besides_tensors_is_left_alone(tmp_path):
    class Counting(nn.Linear):
        calls = 0

        def get_extra_state(self):
            return {"calls": self.calls}

        def set_extra_state(self, state):
            self.calls = state["calls"]

    source, target = Counting(2, 2), Counting(2, 2)
    source.calls, target.calls = 3, 7
    save_weights(source, tmp_path / "w.safetensors")
    load_weights(target, tmp_path / "w.safetensors")
    assert torch.equal(target.weight, source.weight)
    assert target.calls == 7


def test_a_mask_is_not_taken_for_divergence(tmp_path):
    made = network(0)
    made.register_buffer("mask", torch.full((3, 3), -torch.inf).triu(1))
    save_weights(made, tmp_path / "w.safetensors")
    target = network(1)
    target.register_buffer("mask", made.mask.clone())
    load_weights(target, tmp_path / "w.safetensors")
    assert weights_fingerprint(target) == weights_fingerprint(made)
    made.mask[0, 0] = torch.nan
    save_weights(made, tmp_path / "w.safetensors")
    with pytest.raises(WeightsError, match="mask holds NaN or infinity"):
        load_weights(target, tmp_path / "w.safetensors")


def test_lazy_layers_take_their_shapes_from_the_file(tmp_path):
    made = nn.Sequential(nn.Flatten(), nn.Linear(12, 2))
    save_weights(made, tmp_path / "w.safetensors")
    target = nn.Sequential(nn.Flatten(), nn.LazyLinear(2))
    load_weights(target, tmp_path / "w.safetensors")
    assert weights_fingerprint(target) == weights_fingerprint(made)
    nn.init.constant_(made[1].bias, torch.nan)
    save_weights(made, tmp_path / "w.safetensors")
    with pytest.raises(WeightsError, match=r"1\.bias holds NaN or infinity"):
        load_weights(nn.Sequential(nn.Flatten(), nn.LazyLinear(2)), tmp_path / "w.safetensors")


def test_a_full_disk_is_an_error_of_the_operating_system(tmp_path, monkeypatch):
    def full(tensors, path, metadata):
        Path(path).write_bytes(b"half")
        raise SafetensorError("No space left on device")

    monkeypatch.setattr(safetensors.torch, "save_file", full)
    with pytest.raises(OSError, match="No space left on device") as failure:
        save_weights(network(0), tmp_path / "w.safetensors")
    assert failure.value.filename == str(tmp_path / "w.safetensors")
    assert not list(tmp_path.iterdir())


def changed(**changes):
    return {k: v for k, v in (dict(network(0).state_dict()) | changes).items() if v is not None}


@pytest.mark.parametrize(
    ("state", "message"),
    [
        (changed(**{"0.weight": None}), "missing keys: 0.weight"),
        (changed(extra=torch.zeros(1)), "unexpected keys: extra"),
        (
            changed(**{"3.weight": torch.zeros(5, 12)}),
            r"3.weight is \(5, 12\) in the file and \(2, 12\) in the network",
        ),
        ({f"x{i}": torch.zeros(1) for i in range(9)}, "x0, x1, x2 and 6 more"),
        (changed(**{"0.weight": torch.full((3, 2, 3, 3), float("nan"))}), "0.weight holds NaN"),
        ({"epoch": 3}, "no state dict.*keys epoch"),
        ([1, 2], "no state dict.*list"),
        ({}, "no state dict"),
    ],
)
def test_what_does_not_fit(state, message, tmp_path):
    torch.save(state, tmp_path / "w.pt")
    with pytest.raises(WeightsError, match=message) as refused:
        load_weights(network(1), tmp_path / "w.pt")
    assert str(tmp_path / "w.pt") in str(refused.value)
    assert "\n" not in str(refused.value)


class Malicious:
    def __reduce__(self):
        return os.mkdir, ("executed",)


def test_code_is_never_run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    torch.save({"state_dict": dict(network().state_dict()), "args": Malicious()}, "w.pt")
    with pytest.raises(WeightsError, match=r"pickled code .*mkdir.*never run") as refused:
        load_weights(network(), "w.pt")
    assert not Path("executed").exists()
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("kept", [0, 10, 60, 600, 1500])
@pytest.mark.parametrize("zipped", [True, False])
def test_truncated(kept, zipped, tmp_path):
    path = tmp_path / "w.pt"
    torch.save(network().state_dict(), path, _use_new_zipfile_serialization=zipped)
    assert path.stat().st_size > kept
    path.write_bytes(path.read_bytes()[:kept])
    with pytest.raises(WeightsError, match=rf"\({kept:,} bytes\) is truncated, corrupt"):
        load_weights(network(), path)


@pytest.mark.parametrize("name", ["w.pt", "w.safetensors"])
def test_junk(name, tmp_path):
    (tmp_path / name).write_bytes(b"<html>404 not found</html>" * 9)
    with pytest.raises(WeightsError, match="truncated, corrupt"):
        load_weights(network(), tmp_path / name)


def test_missing_and_unknown(tmp_path):
    with pytest.raises(WeightsError, match="no such weights file"):
        load_weights(network(), tmp_path / "nothing.pt")
    with pytest.raises(WeightsError, match=r"from \.pt, \.pth, \.th, \.safetensors, not from \.onnx"):
        load_weights(network(), tmp_path / "w.onnx")


def test_fingerprint_sees_every_byte():
    one, other = network(0), network(0)
    assert weights_fingerprint(one) == weights_fingerprint(other)
    with torch.no_grad():
        other[1].running_var[2] += 1e-6
    assert weights_fingerprint(one) != weights_fingerprint(other)


@pytest.mark.skipif("RANKSEARCH_DATA" not in os.environ, reason="RANKSEARCH_DATA is not set")
@pytest.mark.parametrize(
    ("model", "file"),
    [
        ("resnet20", "resnet20-12fca82f.th"),
        ("resnet32", "resnet32-d509ac18.th"),
        ("resnet56", "resnet56-4bfd9763.th"),
        ("vgg16", "vgg16-cifar10.pt"),
    ],
)
def test_shared_checkpoints(model, file):
    path = Path(os.environ["RANKSEARCH_DATA"]) / "weights" / file
    load_weights(subject := build_network(model, classes=10), path)
    stored = torch.load(path, weights_only=True, map_location="cpu")["state_dict"]
    name = next(name for name in stored if name.endswith("layer3.2.conv2.weight") or name == "features.24.weight")
    assert torch.equal(subject.state_dict()[name.removeprefix("module.")], stored[name].float())
    with pytest.raises(WeightsError, match=r"\(10, \d+\) in the file and \(100, \d+\) in the network"):
        load_weights(build_network(model, classes=100), path)

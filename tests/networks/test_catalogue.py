"""Networks by name: parameter counts, keys, and what is refused."""

import sys

import pytest
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from ranksearch.errors import NetworkError
from ranksearch.networks import MODELS, build_network

COUNTS = {  # parameters with ten classes
    "digits-convnet": 274_090,
    "lenet5": 430_500 + 580,
    "resnet20": 269_722,
    "resnet32": 464_154,
    "resnet44": 658_586,
    "resnet56": 853_018,
    "resnet110": 1_727_962,
    "vgg13": 9_676_234,
    "vgg16": 14_987_210,
    "vgg19": 20_298_186,
}
INPUTS = {"digits-convnet": (1, 8, 8), "lenet5": (1, 28, 28)}


def test_every_model_has_a_published_or_stated_count():
    assert COUNTS.keys() == MODELS.keys()


@pytest.mark.parametrize("name", MODELS)
def test_parameters_and_outputs(name):
    with torch.device("meta"):  # shapes alone
        network, other = (build_network(name, classes=classes).eval() for classes in (10, 7))
        assert sum(p.numel() for p in network.parameters()) == COUNTS[name]
        assert other(torch.zeros(2, *INPUTS.get(name, (3, 32, 32)))).shape == (2, 7)


def test_lenet_has_its_weights():
    weights = [p.numel() for n, p in build_network("lenet5", classes=10).named_parameters() if n.endswith("weight")]
    assert weights == [500, 25_000, 400_000, 5_000]


def test_digits_network_is_large_in_weights_and_small_in_operations():
    network = build_network("digits-convnet", classes=10).eval()
    assert sum(p.numel() for p in network.parameters() if p.ndim > 1) >= 200_000
    with FlopCounterMode(display=False) as counter:
        network(torch.zeros(1, 1, 8, 8))
    assert counter.get_total_flops() / 2 < 6e6


def test_digits_network_takes_channels():
    network = build_network("digits-convnet", classes=3, arguments={"channels": 3}).eval()
    assert network(torch.zeros(1, 3, 8, 8)).shape == (1, 3)


def test_shortcut_subsamples_and_pads():
    shortcut = build_network("resnet20", classes=10).layer2[0].shortcut
    images = torch.rand(2, 16, 8, 8)
    passed = shortcut(images)
    assert passed.shape == (2, 32, 4, 4)
    assert torch.equal(passed[:, 8:24], images[:, :, ::2, ::2])
    assert passed[:, :8].abs().sum() + passed[:, 24:].abs().sum() == 0


def test_torchvision_by_name():
    network = build_network("torchvision:resnet18", classes=7)
    assert network.fc.out_features == 7
    assert build_network("torchvision:resnet18", classes=7, arguments={"num_classes": 5}).fc.out_features == 5


@pytest.fixture
def user_module(tmp_path, monkeypatch):
    (tmp_path / "my_nets_for_tests.py").write_text(
        "from torch import nn\n"
        "def net(width=4): return nn.Linear(width, 2)\n"
        "ready = nn.Linear(3, 2)\n"
        "def number(): return 3\n"
        "def broken(): raise ValueError('no such\\nluck')\n"
    )
    (tmp_path / "needs_more_for_tests.py").write_text("import surely_not_installed\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    yield
    sys.modules.pop("my_nets_for_tests", None)


@pytest.mark.usefixtures("user_module")
def test_factory_of_the_user_in_the_working_directory():
    assert build_network("my_nets_for_tests:net", classes=10, arguments={"width": 6}).in_features == 6
    assert build_network("my_nets_for_tests:net", classes=None).out_features == 2
    first, second = (build_network("my_nets_for_tests:ready", classes=None) for _ in range(2))
    assert isinstance(first, nn.Linear)
    assert first is not second


@pytest.mark.usefixtures("user_module")
@pytest.mark.parametrize(
    ("model", "arguments", "message"),
    [
        ("restnet20", {}, "did you mean 'resnet20'"),
        ("torchvision:resnet81", {}, "did you mean 'resnet18'"),
        ("resnet20", {"depht": 3}, "depht"),
        ("my_nets_for_tests:nett", {}, "did you mean 'net'"),
        ("my_nets_for_tests:number", {}, "must make a torch.nn.Module, got int"),
        ("my_nets_for_tests:broken", {}, "ValueError: no such$"),
        ("my_nets_for_tests:net", {"depth": 2}, "depth"),
        ("nowhere_at_all:net", {}, "no module 'nowhere_at_all'"),
        ("needs_more_for_tests:net", {}, "needs 'surely_not_installed'"),
        (":net", {}, "package.module:factory"),
    ],
)
def test_refused(model, arguments, message):
    with pytest.raises(NetworkError, match=message) as refused:
        build_network(model, classes=10, arguments=arguments)
    assert "\n" not in str(refused.value)


def test_ours_needs_classes():
    with pytest.raises(NetworkError, match="needs a number of classes"):
        build_network("resnet20", classes=None)


@pytest.mark.parametrize(("build", "message"), [("resnet", "6n \\+ 2"), ("vgg", "13, 16, 19")])
def test_depths(build, message):
    from ranksearch.networks.resnet import CifarResNet
    from ranksearch.networks.vgg import CifarVgg

    with pytest.raises(NetworkError, match=message):
        {"resnet": CifarResNet, "vgg": CifarVgg}[build](21)

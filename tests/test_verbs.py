"""Every verb, through the command line, on networks that are not ours."""

import re
import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

import ranksearch
from ranksearch.cli import main
from ranksearch.decomposition import network_bases
from ranksearch.front import SELECTIONS
from ranksearch.layers import Form, RankConfiguration, Svd, Tucker2, full_ranks
from ranksearch.networks import build_network, examples_of, walk
from ranksearch.progressive import Precision, attach, collapse, reestimate_batch_norm, set_decay
from ranksearch.records import NO_DECAY, RankFile

CLASSES, SIDE = 4, 32
Ranksearch = Callable[..., str]

MODULE = '''
import torch
from torch import nn


class Odd(nn.Module):
    """A module used twice, tied weights, groups, dilation, reflect padding, attention, a transposed convolution."""

    def __init__(self, width=16, classes=4):
        super().__init__()
        self.stem = nn.Conv2d(3, width, 3, stride=2, padding=1, padding_mode="reflect")
        self.norm = nn.BatchNorm2d(width)
        self.twice = nn.Conv2d(width, width, 3, padding=2, dilation=2, padding_mode="reflect")
        self.grouped = nn.Conv2d(width, width, 3, stride=2, padding=1, groups=4)
        self.up = nn.ConvTranspose2d(width, width, 2)
        self.attention = nn.MultiheadAttention(width, 2, batch_first=True)
        self.there, self.back = nn.Linear(width, width), nn.Linear(width, width)
        self.back.weight = self.there.weight
        self.head = nn.Sequential(nn.Linear(width, 2 * width), nn.ReLU(), nn.Linear(2 * width, classes))

    def forward(self, x):
        x = torch.relu(self.norm(self.stem(x)))
        x = x + self.twice(torch.relu(self.twice(x)))
        x = self.up(torch.relu(self.grouped(x)))
        tokens = x.flatten(2).transpose(1, 2)
        tokens = tokens + self.attention(tokens, tokens, tokens)[0]
        tokens = tokens + self.back(torch.relu(self.there(tokens)))
        return self.head(tokens.mean(1))
'''

STUDY = """
name = "{name}"
[network]
model = "{model}"
weights = "{weights}"
[network.training]
epochs = {epochs}
batch = 16
lr = 0.05
[data]
source = "npz:colours"
search = 32
reestimate = 64
[ranks]
ratio = [1.2, {highest}]
[training]
images = 64
batch = 16
[search]
baselines = {baselines}
[finetune]
epochs = 1
seeds = 1
"""


def coloured(images: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Images whose class is their tint, easy to learn: uint8 N×3×32×32, and labels 0 … 3."""
    random = np.random.default_rng(seed)
    labels = np.arange(images) % CLASSES
    tints = np.array([[200, 60, 60], [60, 200, 60], [60, 60, 200], [200, 200, 200]])
    noise = random.normal(0, 30, (images, 3, SIDE, SIDE))
    return (tints[labels][:, :, None, None] + noise).clip(0, 255).astype(np.uint8), labels


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Data, the user's module, and weights trained elsewhere."""
    made = tmp_path_factory.mktemp("verbs")
    for part, images, seed in (("train", 128, 0), ("test", 48, 1)):
        x, y = coloured(images, seed)
        np.savez(made / f"colours_{part}.npz", x=x, y=y)
    (made / "odd_networks.py").write_text(MODULE)
    return made


@pytest.fixture
def run(folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Iterator[Ranksearch]:
    """``run("front", "study.toml")`` in the folder; fails unless the exit code is 0; returns what was printed."""
    monkeypatch.chdir(folder)
    monkeypatch.setattr(sys, "path", list(sys.path))
    handler = signal.getsignal(signal.SIGTERM)

    def call(*arguments: object, code: int = 0) -> str:
        monkeypatch.setattr(sys, "argv", ["ranksearch", *map(str, arguments)])
        with pytest.raises(SystemExit) as left:
            main()
        printed = capsys.readouterr()
        assert left.value.code == code, f"{arguments}: {printed.out}{printed.err}"
        return printed.err if code else printed.out

    yield call
    signal.signal(signal.SIGTERM, handler)


def every_verb(run: Ranksearch, folder: Path, name: str) -> None:
    """The whole way, from the search to what is taken away and measured."""
    study = f"{name}.toml"
    searched = run("search", study, "--trials", 2, "--device", "cpu")
    assert "2/2" in searched
    assert f"Pareto front of {name}" in run("front", study, "--csv", f"{name}.csv")
    assert (folder / f"{name}.csv").read_text().count("\n") >= 3

    run("report", folder / study)
    page = (folder / "reports" / name / "index.html").read_text("utf-8")
    assert f"ranksearch export {folder / study} --select trial=" in page

    written = run("export", study, "--select", "all", "-o", f"{name}-front")
    assert len(list((folder / f"{name}-front").glob("*.json"))) == written.count(" written") >= 1
    run("export", study, "--select", "smallest", "-o", f"{name}.yaml")
    run("export", study, "--select", "smallest", "--to", "safetensors", "-o", f"{name}.safetensors")
    measured = RankFile.read(folder / f"{name}.yaml").measured
    assert measured is not None

    finetuned = run("finetune", study, f"{name}.yaml", "--epochs", 1, "--seeds", 1)
    assert "dense control" in finetuned
    assert f"finalist {name}" in finetuned
    assert f"finalist {name}" in run("front", study)

    evaluate = ("evaluate", "--study", study, "--batch", 1)
    assert "holds ranks, no weights" in run(*evaluate, f"{name}.yaml")
    assert re.search(rf"{name}.safetensors +\d+\.\d\d%", run(*evaluate, f"{name}.safetensors"))
    run("allocate", study, "--ratio", 1.5, "-o", f"{name}-closed.json")
    assert RankFile.read(folder / f"{name}-closed.json").objectives["compression_ratio_pivoted"] >= 1.5


def full_rank_is_dense(network: nn.Module) -> None:
    """Full ranks give the dense network's outputs, attached and collapsed, in both forms."""
    network = network.double().eval()
    x = torch.randn(3, 3, SIDE, SIDE, dtype=torch.float64)
    spec = walk(network, x)
    full = {layer.name: full_ranks(layer) for layer in spec.layers}
    configuration = RankConfiguration({n: Tucker2(*r) if len(r) == 2 else Svd(*r) for n, r in full.items()})
    progressive = attach(network, network_bases(network, spec), configuration).eval()
    with torch.inference_mode():
        dense = network(x)
        close = 1e-9 * dense.abs().max()
        assert (progressive(x) - dense).abs().max() <= close
        set_decay(progressive, NO_DECAY, 0.0)
        assert (progressive(x) - dense).abs().max() <= close
        forms: tuple[Form, ...] = ("plain", "pivoted")
        for form in forms:
            assert (collapse(progressive, form)(x) - dense).abs().max() <= close


def write_study(folder: Path, name: str, **settings: object) -> None:
    given = {"weights": "train", "epochs": 6, "highest": 3.0, "baselines": "[]"} | settings
    (folder / f"{name}.toml").write_text(STUDY.format(name=name, **given))


def test_an_odd_network(run: Ranksearch, folder: Path) -> None:
    write_study(folder, "odd", model="odd_networks:Odd", epochs=16, highest=1.8, baselines='["evbmf"]')
    listed = run("layers", "odd.toml")
    for name, reason in {
        "grouped": "grouped convolution (groups = 4)",
        "up": "transposed convolutions are not compressed",
        "attention": "MultiheadAttention is not compressed",
        "attention.out_proj": "its weight is read outside its own forward",
        "there": "weight tied with 'back'",
        "back": "weight tied with 'there'",
    }.items():
        assert re.search(rf"^{re.escape(name)} .* {re.escape(reason)}", listed, re.MULTILINE), listed
    for name in ("stem", "twice", "head.0", "head.2"):
        assert re.search(rf"^{re.escape(name)} +\d+×\d+", listed, re.MULTILINE), listed
    every_verb(run, folder, "odd")
    own = build_network("odd_networks:Odd", classes=CLASSES)
    loaded = ranksearch.load(own, folder / "odd.safetensors")
    objectives = RankFile.read(folder / "odd.yaml").objectives
    assert sum(p.numel() for p in loaded.parameters()) == objectives["params_pivoted"]
    full_rank_is_dense(own)


@pytest.mark.slow
def test_resnet18(run: Ranksearch, folder: Path) -> None:
    write_study(folder, "resnet18", model="torchvision:resnet18")
    assert "every layer with weights is compressed" in run("layers", "resnet18.toml")
    every_verb(run, folder, "resnet18")
    full_rank_is_dense(build_network("torchvision:resnet18", classes=CLASSES))


@pytest.mark.slow
def test_mobilenet_v3_small(run: Ranksearch, folder: Path) -> None:
    torch.manual_seed(0)
    network = build_network("torchvision:mobilenet_v3_small", classes=CLASSES)
    images, labels = coloured(128, 0)
    examples = examples_of((images, labels))
    optimizer = torch.optim.Adam(network.parameters(), 2e-3)
    for x, y in examples.batches(16, seed=0, steps=40):
        optimizer.zero_grad()
        nn.functional.cross_entropy(network(x), y).backward()
        optimizer.step()
    # its batch norms move by 1 % a step: far from there after 40
    network = reestimate_batch_norm(network, examples, 128, precision=Precision(), device=torch.device("cpu"))
    torch.save(network.state_dict(), folder / "mobilenet.pt")

    write_study(folder, "mobilenet", model="torchvision:mobilenet_v3_small", weights="mobilenet.pt")
    listed = run("layers", "mobilenet.toml")
    assert "depthwise convolution (groups = 16)" in listed
    assert re.search(r"^features\.12\.0 +576×96", listed, re.MULTILINE)
    every_verb(run, folder, "mobilenet")
    full_rank_is_dense(network)


def test_what_init_writes_runs(run: Ranksearch, folder: Path) -> None:
    assert "ranksearch layers first.toml" in run("init", "-o", "first.toml")
    assert "--force" in run("init", "-o", "first.toml", code=2)
    text = (folder / "first.toml").read_text()
    shorter = {
        "images = 64000": "images = 256",
        "epochs = 30\nbatch": "epochs = 2\nbatch",
        '["uniform", "energy", "evbmf"]': '["evbmf"]',
    }
    for long, short in shorter.items():
        assert long in text
        text = text.replace(long, short)
    (folder / "first.toml").write_text(text)
    assert "every layer with weights is compressed" in run("layers", "first.toml")
    every_verb(run, folder, "first")
    run("allocate", "first.toml", "--allocator", "evbmf")
    found = RankFile.read(folder / "first-evbmf.json")
    assert "leave out --ratio" in run("allocate", "first.toml", "--allocator", "evbmf", "--ratio", 4, code=2)
    assert "needs a compression ratio" in run("allocate", "first.toml", code=2)
    assert ".json or .yaml" in run("allocate", "first.toml", "--ratio", 4, "-o", "ranks.txt", code=2)
    assert found.provenance["allocator"] == "evbmf"


def test_the_help_of_export_names_every_selection(run: Ranksearch, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    text = run("export", "--help")
    for name, selection in SELECTIONS.items():
        assert f"{name}={selection.example}" if selection.example else name in text

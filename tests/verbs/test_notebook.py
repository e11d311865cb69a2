"""A study without a file: the user's own network, data, loss and metric."""

import math
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import ranksearch
from ranksearch.errors import DataError, MetricError, NetworkError, RanksearchError, StudyChangedError
from ranksearch.export import read_ranks
from ranksearch.layers import Tucker2
from ranksearch.records import DecaySchedule, RankFile
from ranksearch.runner.worker import RepeatedFailureError
from ranksearch.verbs.notebook import Study


@pytest.fixture(scope="module")
def regression() -> tuple[nn.Module, tuple[Tensor, Tensor], tuple[Tensor, Tensor]]:
    """Means of image rows, by a network that was trained for it; training and search data."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        x = torch.randn(384, 1, 8, 8)
        y = x.mean(3).flatten(1)
        network = nn.Sequential(nn.Conv2d(1, 12, 3, padding=1), nn.ReLU(), nn.Flatten(), nn.Linear(768, 8))
        optimizer = torch.optim.Adam(network.parameters(), 0.01)
        for _ in range(60):
            optimizer.zero_grad()
            nn.functional.mse_loss(network(x[:256]), y[:256]).backward()
            optimizer.step()
    return network, (x[:256], y[:256]), (x[256:], y[256:])


def error(outputs: Tensor, targets: Tensor) -> float:
    return float((outputs - targets).detach().abs().mean())


def run(regression: Any, folder: Path | None, trials: int, **options: Any) -> Study:
    network, train, held = regression
    given: dict[str, Any] = {
        "metric": error, "training": {"images": 256, "batch": 64}, "test": held, "quiet": True,
        "metric_range": (1.0, 0.0),
    }  # fmt: skip
    return ranksearch.search(
        network, train, held, trials=trials, folder=folder, device="cpu", direction="minimize",
        **{"ratio": (1.5, 6.0), "loss": nn.functional.mse_loss} | given | options,
    )  # fmt: skip


def test_own_loss_and_metric_from_search_to_a_network(
    regression: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    network, _, (inputs, targets) = regression
    study = run(regression, Path("."), 3)
    table = study.table()
    assert len(table) == 3
    # accuracy is 1 − error, as metric_range maps it; in bfloat16 where the probe found that faster
    assert study.history.study.dense.accuracy == pytest.approx(1 - error(network(inputs), targets), abs=1e-3)
    assert table["accuracy"].between(0.5, 1).all()

    (path,) = study.export(tmp_path / "ranks.json", select="smallest")
    assert RankFile.read(path).configuration.layers.keys() == {"0", "3"}
    compressed = study.network("smallest")
    measured = 1 - error(compressed(inputs), targets)
    assert measured == pytest.approx(study.front().iloc[-1]["accuracy"], abs=1e-3)
    page = study.report(tmp_path / "page")
    assert page == tmp_path / "page" / "index.html"
    assert "own metric, minimised, scaled: 0 % is 1, 100 % is 0." in page.read_text()
    assert "study.export(" in page.read_text()
    assert ".toml" not in page.read_text()
    assert study.figure().data

    again = run(regression, tmp_path, 4)
    assert len(again.table()) == 4
    np.testing.assert_array_equal(again.table()["accuracy"][:3], table["accuracy"])

    monkeypatch.chdir(tmp_path.parent)  # the study stays where it is
    finalists = again.finetune("smallest", epochs=1)
    assert list((tmp_path / "notebook.finetune").iterdir())
    assert len(finalists) == 2  # and the dense control

    with pytest.raises(StudyChangedError, match=r"training\.images 256 → 512"):
        run(regression, tmp_path, 5, training={"images": 512, "batch": 64})


def test_another_loss_is_another_study(regression: Any, tmp_path: Path) -> None:
    run(regression, tmp_path, 1)
    with pytest.raises(StudyChangedError, match=r"loss was [\d.e-]+ and is [\d.e-]+.*give the study a new name"):
        run(regression, tmp_path, 2, loss=nn.functional.l1_loss)


class Ages(nn.Module):
    """As users write networks: a mask of −∞, a view, an output without a dimension of its own."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(1, 8, 3, padding=1)
        self.body, self.head = nn.Linear(8 * 4 * 4, 32), nn.Linear(32, 1)
        self.register_buffer("mask", torch.full((16, 16), -torch.inf).triu(1))

    def forward(self, x: Tensor) -> Tensor:
        x = nn.functional.max_pool2d(self.stem(x).relu(), 2)
        return self.head(self.body(x.view(x.size(0), -1)).relu()).squeeze(1)


def test_a_network_as_users_write_them(tmp_path: Path) -> None:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network, x = Ages(), torch.rand(320, 1, 8, 8) * torch.linspace(0.1, 1, 320)[:, None, None, None]
    ages = (100 * x.mean((1, 2, 3))).long()  # whole numbers, of which the search split has one more
    optimizer = torch.optim.Adam(network.parameters(), 0.01)
    for _ in range(60):
        optimizer.zero_grad()
        nn.functional.mse_loss(network(x[:256]), ages[:256].float()).backward()
        optimizer.step()
    study = ranksearch.search(
        network, (x[:256], ages[:256]), (x[256:], ages[256:]), ratio=(1.5, 4.0), trials=2, folder=tmp_path,
        loss=lambda outputs, targets: nn.functional.mse_loss(outputs, targets.float()), metric=error,
        direction="minimize", metric_range=(60.0, 0.0), training={"images": 128, "batch": 32},
        elastic={"steps": 4, "batch": 32}, device="cpu", quiet=True,
    )  # fmt: skip
    assert {t.record.recipe.init for t in study.history.finished() if t.record} == {"elastic"}
    (path,) = study.export(tmp_path / "small.safetensors", select="smallest", to="safetensors")
    assert torch.equal(ranksearch.load(Ages(), path)(x), study.network("smallest")(x))


def test_what_stays_dense_need_not_learn(regression: Any, tmp_path: Path) -> None:
    training = {"images": 256, "batch": 64, "learn": "adapters"}
    scaling = {"mean": np.float32(0), "std": [np.float64(1)]}  # as notebooks compute them
    study = run(regression, tmp_path, 6, ratio=(1.0, 4.0), training=training, normalize=scaling)
    assert study.history.study.settings["data"]["normalize"] == {"mean": [0.0], "std": [1.0]}
    assert {t.state for t in study.history.trials} == {"complete"}
    (dense,) = [t.record for t in study.history.finished() if t.record and t.record.counted.compression_ratio == 1]
    assert (dense.cost.images, dense.cost.trainable_params) == (0, 0)


def test_a_flattened_layer_as_a_kernel_goes_all_the_way_to_the_users_class(regression: Any, tmp_path: Path) -> None:
    network, _, (inputs, _) = regression
    study = run(regression, tmp_path, 2, ranks={"flattened": "kernel"})
    (path,) = study.export(tmp_path / "ranks.json", select="smallest")
    ranks = RankFile.read(path)
    assert ranks.flattened == {"3": (12, 8, 8)}
    assert isinstance(ranks.configuration["3.kernel"], Tucker2)
    (stored,) = study.export(tmp_path / "small.safetensors", select="smallest", to="safetensors")
    loaded = ranksearch.load(network, stored)
    assert isinstance(network[3], nn.Linear)
    assert torch.equal(loaded(inputs), study.network("smallest")(inputs))
    assert len(study.finetune("smallest", epochs=1)) == 2  # and the dense control
    with pytest.raises(StudyChangedError, match=r"ranks\.flattened kernel → linear"):
        run(regression, tmp_path, 3)


def test_a_metric_that_is_no_number_fails_its_trial_only(regression: Any, tmp_path: Path) -> None:
    calls, bad = [0], range(0)

    def metric(outputs: Tensor, targets: Tensor) -> float:
        calls[0] += 1
        return math.nan if calls[0] in bad else error(outputs, targets)

    lr = {"low": 0.005, "high": 0.05, "log": True}  # without a range, what is proposed here is mostly known already
    options = {"metric": metric, "training": {"images": 256, "batch": 64, "lr": lr}}
    run(regression, tmp_path, 1, **options)
    calls[0], bad = 0, range(3, 4)  # the dense network is first, twice
    study = run(regression, tmp_path, 3, **options)
    assert len(study.table()) == 3
    (failed,) = [t for t in study.history.trials if t.state == "failed"]
    assert failed.reason.startswith("MetricError: the metric is NaN")

    calls[0], bad = 0, range(3, 1000)
    with pytest.raises(RepeatedFailureError, match="3 trials in a row failed, the last with: MetricError"):
        run(regression, tmp_path, 5, **options)
    assert len(study.table()) == 3


def test_what_does_not_fit_together_is_refused(regression: Any, tmp_path: Path) -> None:
    network, train, held = regression
    with pytest.raises(DataError, match=r"so a loss is needed: search\(…, loss=…, metric=…\)"):
        ranksearch.search(network, train, held, quiet=True)
    with pytest.raises(RanksearchError, match=r"training\.pace is not a known key"):
        ranksearch.search(network, train, held, loss=nn.functional.mse_loss, training={"pace": 1}, quiet=True)
    with pytest.raises(RanksearchError, match=r"ranks\.ratio = 4: expected list"):
        ranksearch.search(network, train, held, loss=nn.functional.mse_loss, ratio=4, quiet=True)  # type: ignore[arg-type]
    with pytest.raises(MetricError, match=r"accuracy wants an integer label.*metric=…"):
        ranksearch.search(network, train, held, loss=nn.functional.mse_loss, quiet=True)
    with pytest.raises(MetricError, match=r"dense network is [\d.]+, beyond its range of 5 to 9.*metric_range="):
        run(regression, tmp_path, 1, metric_range=(9.0, 5.0))
    with pytest.raises(NetworkError, match=r"must be a trained torch\.nn\.Module, got the class itself: Linear\("):
        ranksearch.search(nn.Linear, train, held, quiet=True)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("given", "law"),
    [
        ({"metric": "r2"}, r"metric must be a function of \(outputs, targets\), got 'r2'"),
        ({"metric": lambda y, t: (y - t).abs()}, r"metric must return a number .* got a tensor of shape \(128, 8\)"),
        ({"metric": lambda y, t: {}["label"]}, r"metric failed on outputs \(128, 8\), targets \(128, 8\): KeyError"),
        ({"loss": lambda y, t: (y - t) ** 2}, r"loss must be one scalar .* got \(\d+, 8\)"),
        ({"loss": lambda y, t: (y - t).square().mean().detach()}, r"loss must be .* got \(\) without gradient"),
        ({"ratio": (6.0, 1.5)}, r"^ranksearch\.search: "),
    ],
)
def test_a_loss_or_metric_that_is_none_is_told(regression: Any, tmp_path: Path, given: dict, law: str) -> None:
    with pytest.raises(RanksearchError, match=law):
        run(regression, tmp_path, 1, **given)


def test_a_study_shows_what_it_found(regression: Any, tmp_path: Path) -> None:
    study = run(regression, tmp_path, 1)
    assert repr(study).startswith("notebook: front of 1: ")
    study.export(tmp_path / "small.safetensors")
    assert read_ranks(tmp_path / "small.safetensors").configuration == study.history.front()[0].record.configuration


def test_a_temporary_folder_is_named_and_taken_up_again(
    regression: Any, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    first = run(regression, None, 1, quiet=False)
    (folder,) = tmp_path.iterdir()
    assert f"folder={str(folder)!r} goes on with it" in capsys.readouterr().out.replace("\n", "")
    again = run(regression, folder, 2)
    assert len(again.table()) == 2
    assert again.table()["accuracy"].iloc[0] == first.table()["accuracy"].iloc[0]


def test_a_test_split_may_come_later(regression: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    study = run(regression, tmp_path, 2, test=None)
    with pytest.raises(DataError, match=r"measured on the test split.*ranksearch\.search\(…, test=…\)"):
        study.finetune("smallest", epochs=1)
    study = run(regression, tmp_path, 2, quiet=False)
    for wrong, law in (
        ({"learning_rate": 0.1}, "learning_rate is not a known key; allowed: "),
        ({"lr": "high"}, "lr = 'high': expected float"),
        ({"end": 2.0}, r"finetune\.end = 2\.0 must be a fraction"),
    ):
        with pytest.raises(RanksearchError, match=law):
            study.finetune("smallest", epochs=1, **wrong)
    capsys.readouterr()
    assert len(study.finetune("smallest", epochs=1, shape="linear", end=0.4)) == 2
    out = capsys.readouterr().out.replace("\n", "")
    (file,) = (tmp_path / "notebook.finetune").glob("*.safetensors")
    assert "seed 0: step 6/6" in out  # three hundred and eighty-four images in batches of 64
    assert str(file) in out
    study.confirm(1)
    assert "confirmation 0: 1/2" in capsys.readouterr().out
    assert read_ranks(file).schedule == DecaySchedule(shape="linear", end=0.4)
    run(regression, tmp_path / "with", 1)
    with pytest.raises(StudyChangedError, match="test; restore"):
        run(regression, tmp_path / "with", 1, test=regression[1])

"""What calibration measures, against its definition; and that it leaves everything as it was."""

from collections.abc import Callable

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn import functional as F

import ranksearch.decomposition.calibration as calibration
from ranksearch.decomposition import Covariances, calibrate, nested_bases, network_bases, shrink
from ranksearch.decomposition.covariance import shrinkage
from ranksearch.errors import DataError, NetworkError
from ranksearch.layers import NetworkSpec, Svd, Tucker2
from ranksearch.networks import Resident, walk
from ranksearch.networks.streamed import Streamed

BOTH = "activations+gradients"
DATA = Resident.of(torch.rand(40, 2, 9, 9, generator=torch.Generator().manual_seed(0)) * 2, torch.arange(40) % 3)


class Shared(nn.Module):
    """A convolution that is used twice, in-place activations, a stride, and classes."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(2, 4, 3, stride=2, padding=1)
        self.twice = nn.Conv2d(4, 4, (3, 1), padding="same", padding_mode="circular", bias=False)
        self.norm = nn.BatchNorm2d(4)
        self.act = nn.ReLU(inplace=True)
        self.head = nn.Linear(4, 3)

    def forward(self, x: Tensor) -> Tensor:
        x = self.act(self.stem(x))
        x = self.act(self.twice(self.act(self.norm(self.twice(x)))))
        return self.head(x.mean((2, 3)))


def made(factory: Callable[[], nn.Module] = Shared, data: Resident = DATA) -> tuple[nn.Module, NetworkSpec]:
    with torch.random.fork_rng():
        torch.manual_seed(1)
        network = factory().eval()
        for parameter in network.parameters():
            parameter.data *= 2
    return network, walk(network, data.example())


def unshrunk(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(calibration, "shrink", lambda covariance, *_, **__: covariance)


def test_patch_covariances_are_second_moments(monkeypatch: pytest.MonkeyPatch) -> None:
    unshrunk(monkeypatch)
    network, spec = made()
    found = calibrate(network, spec, DATA, "activations", images=len(DATA))
    x = next(DATA.batches(len(DATA)))[0]
    with torch.no_grad():
        first = network.stem(x)
        middle = first.relu()
        last = network.norm(network.twice(middle)).relu()
        columns = {
            "stem": F.unfold(x, 3, padding=1, stride=2),
            "twice": torch.cat([F.unfold(F.pad(a, (0, 0, 1, 1), "circular"), (3, 1)) for a in (middle, last)]),
            "head": network.twice(last).relu().mean((2, 3))[:, :, None],
        }
    assert not found.gradients
    assert found.patches.keys() == columns.keys()
    for name, column in columns.items():
        rows = column.transpose(1, 2).flatten(0, 1).double()
        torch.testing.assert_close(found.patches[name], rows.T @ rows / len(rows), rtol=1e-5, atol=1e-6)


def test_gradient_covariances_are_those_of_each_image(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of the user's own loss, summed over positions and uses, averaged over images; here by one image at a time."""
    unshrunk(monkeypatch)
    network, spec = made()
    loss = nn.CrossEntropyLoss()
    found = calibrate(network, spec, DATA, BOTH, images=len(DATA), loss=loss, batch=16)
    expected = {name: torch.zeros_like(found.gradients[name]) for name in ("stem", "twice", "head")}
    for x, y in DATA.batches(1):
        first = network.stem(x)
        once = network.twice(first.relu())
        again = network.twice(network.norm(once).relu())
        outputs = network.head(again.relu().mean((2, 3)))
        gradients = torch.autograd.grad(loss(outputs, y), [first, once, again, outputs])
        for name, gradient in zip(("stem", "twice", "twice", "head"), gradients, strict=True):
            rows = gradient.movedim(1, -1).reshape(-1, gradient.shape[1]).double()
            expected[name] += rows.T @ rows / len(DATA)
    for name in expected:
        torch.testing.assert_close(found.gradients[name], expected[name], rtol=1e-4, atol=1e-9)


def test_the_users_loss_may_sum_or_average() -> None:
    network, spec = made()
    runs = [
        calibrate(network, spec, DATA, BOTH, images=24, loss=nn.CrossEntropyLoss(reduction=r))
        for r in ("mean", "sum", "none")
    ]
    for other in runs[1:]:
        assert_same(runs[0], other, 1e-6)


def test_targets_may_be_whatever_collates() -> None:
    """Each image's own part of them goes to the user's loss."""
    network, spec = made()
    nested = Streamed.of(
        [(x, {"label": y, "weight": 2.0}) for x, y in zip(DATA.store.inputs, DATA.targets, strict=True)]
    )

    def weighted(outputs: Tensor, targets: dict[str, Tensor]) -> Tensor:
        return (targets["weight"] * F.cross_entropy(outputs, targets["label"], reduction="none")).mean()

    def same(outputs: Tensor, targets: Tensor) -> Tensor:
        return 2 * F.cross_entropy(outputs, targets)

    found = calibrate(network, spec, nested, BOTH, images=24, loss=weighted)
    assert_same(found, calibrate(network, spec, DATA, BOTH, images=24, loss=same), 1e-5)


def assert_same(one: Covariances, other: Covariances, tolerance: float) -> None:
    for found, expected in ((one.patches, other.patches), (one.gradients, other.gradients)):
        assert found.keys() == expected.keys()
        for name, covariance in found.items():
            atol = tolerance * float(expected[name].abs().max())
            torch.testing.assert_close(covariance, expected[name], rtol=tolerance, atol=atol)


@settings(max_examples=10)
@given(st.integers(1, 40), st.sampled_from([None, nn.CrossEntropyLoss()]), st.sampled_from([3, 64]))
def test_covariances_do_not_depend_on_the_batch_size(batch: int, loss: nn.Module | None, positions: int) -> None:
    network, spec = made()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(calibration, "POSITIONS", positions)
        one = calibrate(network, spec, DATA, BOTH, images=24, loss=loss, batch=7)
        assert_same(calibrate(network, spec, DATA, BOTH, images=24, loss=loss, batch=batch), one, 1e-5)


def test_labels_are_drawn_from_the_softened_distribution() -> None:
    """Γ at the logits is then the mean of diag p − p pᵀ, over T²: the Fisher information of softmax(z/T)."""
    logits = torch.tensor([[4.0, 0.0, -4.0]])
    data = Resident.of(logits.repeat(4000, 1), torch.zeros(4000, dtype=torch.int64))
    network = nn.Sequential(nn.Linear(3, 3, bias=False))
    network[0].weight.data = torch.eye(3)
    gamma = calibrate(network, walk(network, data.example()), data, BOTH, images=4000).gradients["0"]
    p = (logits[0].double() / 4).softmax(0)
    torch.testing.assert_close(gamma, (p.diag() - torch.outer(p, p)) / 16, rtol=0, atol=1e-3)


def test_classes_at_every_position() -> None:
    data = Resident.of(torch.rand(6, 2, 5, 5), torch.zeros(6, 5, 5, dtype=torch.int64))
    network = nn.Sequential(nn.Conv2d(2, 4, 3, padding=1), nn.ReLU(), nn.Conv2d(4, 3, 1))
    spec = walk(network, data.example())
    one = calibrate(network, spec, data, BOTH, batch=1)
    assert_same(calibrate(network, spec, data, BOTH, batch=4), one, 1e-5)


@pytest.mark.parametrize("basis", ["activations", BOTH])
def test_everything_is_left_as_it_was(basis: str) -> None:
    network, spec = made(lambda: nn.Sequential(Shared(), nn.Dropout()))
    network.train()
    state = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    generator = torch.get_rng_state()
    first = calibrate(network, spec, DATA, basis, images=10)  # type: ignore[arg-type]
    assert torch.equal(torch.get_rng_state(), generator)
    assert all(torch.equal(tensor, state[name]) for name, tensor in network.state_dict().items())
    assert all(m.training and not m._forward_hooks for m in network.modules())
    assert all(p.grad is None and p.requires_grad for p in network.parameters())
    torch.manual_seed(7)
    second = calibrate(network, spec, DATA, basis, images=10)  # type: ignore[arg-type]
    for name in spec.names:
        assert torch.equal(first.patches[name], second.patches[name])


def test_a_network_that_draws_is_calibrated_the_same() -> None:
    class Draws(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return F.dropout(x, 0.3, training=True)

    network, spec = made(lambda: nn.Sequential(Draws(), Shared()))
    found = []
    for seed in (1, 2):
        torch.manual_seed(seed)
        found.append(calibrate(network, spec, DATA, BOTH, images=10))
    assert all(torch.equal(found[0].gradients[name], found[1].gradients[name]) for name in spec.names)


def test_all_are_positive_definite_from_one_image() -> None:
    network, spec = made()
    found = calibrate(network, spec, DATA, BOTH, images=1)
    for covariance in (*found.patches.values(), *found.gradients.values()):
        assert torch.linalg.eigvalsh(covariance)[0] > 0
    for name, bases in network_bases(network, spec, found).items():
        weight = network.get_parameter(f"{name}.weight").detach().double().flatten(1)
        scale = float(((found.gradients[name] @ weight @ found.patches[name]) * weight).sum())
        assert bases.table.total == pytest.approx(scale)
        assert bases.table.in_loss


def test_a_dead_output_and_one_direction_of_gradients_do_no_harm() -> None:
    """Why Γ has a ridge: without it the bases are refused, or rest on directions that nothing is known about."""
    spec = walk(nn.Sequential(nn.Conv2d(3, 6, 3)), torch.zeros(1, 3, 5, 5)).layers[0]
    generator = torch.Generator().manual_seed(0)
    weight = torch.randn(6, 3, 3, 3, generator=generator, dtype=torch.float64)
    seen = torch.randn(200, 27, generator=generator, dtype=torch.float64)
    sigma = shrink(seen.T @ seen / 200)
    direction = torch.tensor([1.0, 2, 0, 0, 0, 0], dtype=torch.float64)
    gamma = torch.outer(direction, direction)  # channels 2 … 5 never mattered to the loss of those images
    with pytest.raises(Exception, match="shrink them first"):
        nested_bases(spec, weight, sigma, gamma)
    bases = nested_bases(spec, weight, sigma, shrink(gamma, ridge=calibration.GRADIENT_RIDGE))
    kept = bases.factors(Tucker2(4, 3)).kernel()
    assert torch.isfinite(kept).all()
    full = bases.factors(Tucker2(6, 3)).kernel()
    torch.testing.assert_close(full, weight, rtol=1e-6, atol=1e-6)
    others = (weight - kept)[2:].norm() / weight[2:].norm()
    assert others < 0.9  # what the gradients did not speak of is kept by its own size, not thrown away


def test_very_wide_layers_keep_the_diagonal(monkeypatch: pytest.MonkeyPatch) -> None:
    network, spec = made(lambda: nn.Sequential(nn.Flatten(), nn.Linear(162, 3)))
    whole = calibrate(network, spec, DATA, BOTH, images=40)
    monkeypatch.setattr(calibration, "DIMENSIONS", 100)
    found = calibrate(network, spec, DATA, BOTH, images=40)
    torch.testing.assert_close(found.patches["1"], whole.patches["1"].diagonal(), rtol=1e-5, atol=1e-6)
    (bases,) = network_bases(network, spec, found).values()
    (same,) = network_bases(network, spec, Covariances({"1": found.patches["1"].diag()}, found.gradients)).values()
    for rank in (1, 2, 3):
        torch.testing.assert_close(bases.factors(Svd(rank)).kernel(), same.factors(Svd(rank)).kernel())
        assert bases.table[Svd(rank)] == pytest.approx(same.table[Svd(rank)])


def test_very_many_outputs_keep_the_diagonal(monkeypatch: pytest.MonkeyPatch) -> None:
    network, spec = made(lambda: nn.Sequential(nn.Flatten(), nn.Linear(162, 5), nn.Linear(5, 120)))
    whole = calibrate(network, spec, DATA, BOTH, images=40)
    monkeypatch.setattr(calibration, "DIMENSIONS", 100)
    found = calibrate(network, spec, DATA, BOTH, images=40)
    torch.testing.assert_close(found.gradients["2"], whole.gradients["2"].diagonal(), rtol=1e-5, atol=1e-9)
    assert found.gradients["1"].shape == (5, 5)
    bases = network_bases(network, spec, found)["2"]
    diagonal = {"2": found.gradients["2"].diag(), "1": found.gradients["1"]}
    same = network_bases(network, spec, Covariances(found.patches, diagonal))["2"]
    torch.testing.assert_close(bases.factors(Svd(3)).kernel(), same.factors(Svd(3)).kernel())
    torch.testing.assert_close(bases.factors(Svd(5)).kernel().flatten(1), network[2].weight, rtol=1e-5, atol=1e-5)


def test_a_diagonal_takes_rows_as_they_come(monkeypatch: pytest.MonkeyPatch) -> None:
    """Rows that waited until a product is worth its sum would hold as many as there are dimensions."""
    monkeypatch.setattr(calibration, "DIMENSIONS", 10)
    moment = calibration._Moment(11)
    moment.add(torch.ones(3, 11))
    assert not moment.waiting
    assert moment.whole.tolist() == [3.0] * 11


def test_a_diagonal_serves_a_convolution_too() -> None:
    spec = walk(nn.Sequential(nn.Conv2d(3, 4, 3)), torch.zeros(1, 3, 5, 5)).layers[0]
    weight, diagonal = torch.randn(4, 3, 3, 3), torch.rand(27) + 0.1
    found, expected = nested_bases(spec, weight, diagonal), nested_bases(spec, weight, diagonal.diag())
    torch.testing.assert_close(found.table.distortion, expected.table.distortion)
    assert found.unwhiten_in is not None
    assert found.unwhiten_in.shape == (9, 3, 3)  # not 27×27: it grows with the positions, not with their square


def test_layers_that_no_gradient_reaches_are_named() -> None:
    class Cut(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.unseen, self.head = nn.Linear(162, 4), nn.Linear(4, 3)

        def forward(self, x: Tensor) -> Tensor:
            return self.head(self.unseen(x.flatten(1)).detach())

    network, spec = made(Cut)
    with pytest.raises(NetworkError, match=r"'unseen': no gradient.*ranks\.basis = \"activations\""):
        calibrate(network, spec, DATA, BOTH)
    assert calibrate(network, spec, DATA, "activations").patches.keys() == {"unseen", "head"}

    class Closed(Cut):
        def forward(self, x: Tensor) -> Tensor:
            return super().forward(x).detach()

    network, spec = made(Closed)
    with pytest.raises(NetworkError, match=r"cannot be taken.*ranks\.basis"):
        calibrate(network, spec, DATA, BOTH)


def test_layers_that_no_image_reaches_are_named() -> None:
    class Routed(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.often, self.seldom = nn.Linear(162, 3), nn.Linear(162, 3)

        def forward(self, x: Tensor) -> Tensor:
            often = self.often(x.flatten(1))
            return often if len(x) > 1 else often + self.seldom(x.flatten(1))

    network, spec = made(Routed)
    assert "seldom" in spec.names  # the walk shows one image
    with pytest.raises(NetworkError, match=r"'seldom': none of 40 training images.*ranks\.exclude"):
        calibrate(network, spec, DATA, BOTH, images=40)


def test_no_training_images_are_refused() -> None:
    network, spec = made()
    with pytest.raises(DataError, match="at least one training image"):
        calibrate(network, spec, DATA.subset([]), BOTH)


def test_few_samples_shrink_more() -> None:
    generator = torch.Generator().manual_seed(0)
    rows = torch.randn(4000, 20, generator=generator, dtype=torch.float64)
    rows[:, 1:] += rows[:, :-1].clone()

    def rho(n: int) -> float:
        return shrinkage(rows[:n].T @ rows[:n] / n, n)

    assert 1 >= rho(5) > rho(50) > rho(4000) > 0
    assert shrinkage(torch.eye(3), 10) == shrinkage(torch.ones(3), 10) == 0.0
    truth = rows.T @ rows / 4000
    few = rows[:30].T @ rows[:30] / 30
    shrunk = shrink(few, shrinkage(few, 30), ridge=1e-9)
    assert (shrunk - truth).norm() < (few - truth).norm()

"""Made-up networks with made-up error tables: exact HOSVD tables of random kernels whose spectra decay."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pytest

from ranksearch.layers import ErrorTable, LayerSpec, NetworkSpec, RankConfiguration

Synthetic = tuple[NetworkSpec, dict[str, ErrorTable]]


def random_layer(name: str, rng: np.random.Generator, largest: int) -> LayerSpec:
    channels_out, channels_in = (int(c) for c in rng.integers(1, largest + 1, 2))
    kind, kernel = [("conv2d", (3, 3)), ("conv2d", (1, 2)), ("conv2d", (1, 1)), ("linear", (1, 1))][rng.integers(4)]
    positions = int(rng.integers(1, 9))
    return LayerSpec(
        name=name, kind=kind, channels_out=channels_out, channels_in=channels_in, kernel=kernel,
        bias=bool(rng.integers(2)), positions_in=positions * int(rng.choice([1, 4])), positions_out=positions,
    )  # fmt: skip


def eigen(matrix: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Squared singular values, largest first, and all left singular vectors."""
    values, vectors = np.linalg.eigh(matrix @ matrix.T)
    return values[::-1].clip(0), vectors[:, ::-1]


def random_table(spec: LayerSpec, rng: np.random.Generator) -> ErrorTable:
    out, in_, k = spec.channels_out, spec.channels_in, spec.kernel_size
    decay = rng.uniform(0, 1.5)
    kernel = rng.normal(size=(out, in_, k)) * np.arange(1, out + 1.0)[:, None, None] ** -decay
    kernel *= np.arange(1, in_ + 1.0)[None, :, None] ** -decay
    (first, left), (second, right) = (eigen(m.reshape(len(m), -1)) for m in (kernel, kernel.transpose(1, 0, 2)))
    total = float((kernel**2).sum())
    if spec.format == "svd":
        few = first[: min(out, in_)]
        return ErrorTable((total - np.cumsum(few)).clip(0), total, (few,))
    core = np.einsum("oik,or,is->rsk", kernel, left, right)
    kept = np.cumsum(np.cumsum((core**2).sum(2), 0), 1)
    return ErrorTable((total - kept).clip(0), total, (first, second))


def make_network(layers: list[LayerSpec], fixed: int = 10) -> NetworkSpec:
    return NetworkSpec(
        layers=tuple(layers),
        params=fixed + sum(layer.params for layer in layers),
        macs=fixed + sum(layer.macs for layer in layers),
    )


def make_synthetic(seed: int, layers: int = 4, largest: int = 10) -> Synthetic:
    rng = np.random.default_rng(seed)
    network = make_network([random_layer(f"layer{i}", rng, largest) for i in range(layers)])
    return network, {spec.name: random_table(spec, rng) for spec in network.layers}


def make_resnet20(seed: int = 0) -> Synthetic:
    """The shapes of a CIFAR ResNet-20."""
    layers = [
        LayerSpec(
            name="conv",
            kind="conv2d",
            channels_out=16,
            channels_in=3,
            kernel=(3, 3),
            positions_in=1024,
            positions_out=1024,
        )
    ]
    for stage, width in enumerate((16, 32, 64)):
        for i in range(6):
            narrow = stage > 0 and i == 0
            positions = 1024 // 4**stage
            layers.append(
                LayerSpec(name=f"layer{stage}.{i}", kind="conv2d", channels_out=width,
                          channels_in=width // 2 if narrow else width, kernel=(3, 3),
                          positions_in=positions * (4 if narrow else 1), positions_out=positions)
            )  # fmt: skip
    layers.append(LayerSpec(name="linear", kind="linear", channels_out=10, channels_in=64, bias=True))
    rng = np.random.default_rng(seed)
    return make_network(layers, 1376), {spec.name: random_table(spec, rng) for spec in layers}


def summed_loss(
    configuration: RankConfiguration, tables: Mapping[str, ErrorTable], weights: Mapping[str, float] | None = None
) -> float:
    """Σ exp(w)·−log(1 − relative distortion), written without the package's own tables."""
    total = 0.0
    for name, table in tables.items():
        relative = min(1.0, table[configuration[name]] / table.total)
        total += float(np.exp((weights or {}).get(name, 0.0))) * -np.log(max(1e-12, 1 - relative))
    return total


@pytest.fixture(scope="session")
def synthetic() -> Callable[..., Synthetic]:
    return make_synthetic


@pytest.fixture(scope="session")
def resnet20() -> Synthetic:
    return make_resnet20()


@pytest.fixture(scope="session")
def loss_of() -> Callable[..., float]:
    return summed_loss


@pytest.fixture(scope="session")
def network_of() -> Callable[..., Any]:
    return make_network


@pytest.fixture(scope="session")
def table_of() -> Callable[..., ErrorTable]:
    return random_table

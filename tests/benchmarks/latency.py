"""Smaller, but faster? Latency of closed-form networks beside the dense one, by form, runtime, ratio and batch.

    python tests/benchmarks/latency.py studies/vgg16-cifar10.toml --ratio 2 4 8 --batch 1 64 --parquet FOLDER

Ranks by rate–distortion allocation at a ratio of the plain count; what a layer has learnt does not change its
latency. Forms: plain, pivoted, and *fastest*, where each layer has the form that was fastest alone, in this runtime, at
this batch. Torch runs each network as the user's module and *streamlined* (batch norm folded, adjacent 1×1 layers
merged); onnxruntime folds by itself. All of one row's networks are timed in turn. Two tables: networks, and layers.
"""

import argparse
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, get_args

import pandas as pd
import torch
from torch import Tensor, nn

from ranksearch.allocation import ALLOCATORS
from ranksearch.export import (
    RUNTIMES,
    LayerLatency,
    compare_latency,
    in_forms,
    layer_latencies,
    streamline,
)
from ranksearch.layers import LayerForm, RankConfiguration, layer_macs, layer_params, network_cost
from ranksearch.networks import weights_fingerprint
from ranksearch.progressive import attach, collapse, set_decay
from ranksearch.records import NO_DECAY
from ranksearch.study import read_study
from ranksearch.subject.subject import Subject, study_subject

Run = Callable[[Tensor], Tensor]
FORMS = get_args(LayerForm)


@dataclass
class Once:
    """A runtime that makes each network or layer once, whatever the batch: to write an ONNX file takes a second."""

    prepare: Callable[[nn.Module, Tensor], Run]
    made: dict[tuple[str, str], Run] = field(default_factory=dict)

    def __call__(self, network: nn.Module, x: Tensor) -> Run:
        key = (repr(network), weights_fingerprint(network))
        if key not in self.made:
            self.made[key] = self.prepare(network, x)
        return self.made[key]


def streamlined(network: nn.Module, x: Tensor) -> Run:
    return streamline(network)


def compressed(subject: Subject, basis: Any, ratio: float, budget: Any) -> tuple[RankConfiguration, nn.Module]:
    """Closed-form ranks at a ratio of parameters or MACs, plain count, and the network in the plain form."""
    bases = subject.bases(basis)
    tables = {name: b.table for name, b in bases.items()}
    configuration = ALLOCATORS["rate-distortion"](subject.spec, tables, ratio, form="plain", cost=budget)
    attached = attach(subject.network, bases, configuration)
    set_decay(attached, NO_DECAY, progress=0)
    return configuration, collapse(attached, "plain")


def measured(
    subject: Subject, ratio: float, options: argparse.Namespace, runtimes: Mapping[str, Callable[..., Run]]
) -> Iterator[tuple[list[dict[str, Any]], list[dict[str, Any]]]]:
    """Rows of networks and of layers, by runtime and batch."""
    configuration, plain = compressed(subject, options.basis, ratio, options.budget)
    example = subject.splits.train.example()
    pivoted = in_forms(plain, dict.fromkeys(configuration.layers, "pivoted"))
    for runtime, prepare in runtimes.items():
        for batch in options.batch:
            rounds = options.rounds if batch == 1 else max(5, options.rounds // 3)
            alone = RUNTIMES["torch"] if runtime == "streamlined" else prepare
            layers = layer_latencies(plain, configuration, example, batch=batch, rounds=rounds, prepare=alone)
            chosen = {layer.name: layer.fastest(FORMS) for layer in layers}
            forms: dict[str, dict[str, LayerForm]] = {
                "dense": dict.fromkeys(configuration.layers, "dense"),
                "plain": {},
                "pivoted": dict.fromkeys((layer.name for layer in layers), "pivoted"),
                "fastest": chosen,
            }
            networks = {
                "dense": subject.network,
                "plain": plain,
                "pivoted": pivoted,
                "fastest": in_forms(plain, chosen),
            }
            runs = {name: prepare(network, example) for name, network in networks.items()}
            timed = compare_latency(runs, example, (batch,), rounds)
            found = []
            for name, (latency,) in timed.items():
                cost = network_cost(subject.spec, configuration, "plain", forms[name])
                found.append(
                    {
                        "ratio": ratio,
                        "runtime": runtime,
                        "batch": batch,
                        "threads": torch.get_num_threads(),
                        "budget": options.budget,
                        "form": name,
                        "compression_ratio": cost.compression_ratio,
                        "mac_ratio": cost.mac_ratio,
                        "ms": latency.median * 1e3,
                        "ms_lower": latency.lower * 1e3,
                        "ms_upper": latency.upper * 1e3,
                        "latency_ratio": timed["dense"][0].median / latency.median,
                    }
                )
            yield found, [row for layer in layers for row in layer_rows(subject, ratio, runtime, layer)]


def layer_rows(subject: Subject, ratio: float, runtime: str, layer: LayerLatency) -> Iterator[dict[str, Any]]:
    spec = subject.spec[layer.name]
    for form, latency in layer.forms.items():
        yield {
            "ratio": ratio,
            "runtime": runtime,
            "batch": latency.batch,
            "layer": layer.name,
            "shape": "×".join(map(str, layer.shape[1:])),
            "ranks": str(layer.ranks),
            "form": form,
            "params": layer_params(spec, layer.ranks, form),
            "macs": layer_macs(spec, layer.ranks, form),
            "us": latency.median * 1e6,
            "us_lower": latency.lower * 1e6,
            "us_upper": latency.upper * 1e6,
            "fastest": form == layer.fastest(FORMS),
        }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("studies", type=Path, nargs="+")
    parser.add_argument("--ratio", type=float, nargs="+", default=[2, 4, 8])
    parser.add_argument("--budget", choices=["params", "macs"], default="params", help="what the ratio counts")
    parser.add_argument("--batch", type=int, nargs="+", default=[1, 64])
    parser.add_argument("--runtime", nargs="+", default=["torch", "streamlined", "onnxruntime"])
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=30, help="a third of them for larger batches than 1")
    parser.add_argument("--parquet", type=Path, metavar="FOLDER")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    networks: list[dict[str, Any]] = []
    layers: list[dict[str, Any]] = []
    every = RUNTIMES | {"streamlined": streamlined, "onnxruntime": Once(RUNTIMES["onnxruntime"])}
    runtimes = {name: every[name] for name in options.runtime}
    for path in options.studies:
        study = read_study(path)
        options.basis = study.ranks.basis
        subject = study_subject(study, device="cpu")
        for ratio in options.ratio:
            for of_networks, of_layers in measured(subject, ratio, options, runtimes):
                networks += [{"study": study.name, **row} for row in of_networks]
                layers += [{"study": study.name, **row} for row in of_layers]
                for row in of_networks:
                    print(
                        f"{study.name} {ratio:g}× {row['runtime']:11} batch {row['batch']:2} {row['form']:8} "
                        f"{row['compression_ratio']:5.2f}× params {row['mac_ratio']:5.2f}× MACs "
                        f"{row['ms']:8.2f} ms ({row['ms_lower']:.2f}–{row['ms_upper']:.2f})  "
                        f"{row['latency_ratio']:.2f}×",
                        flush=True,
                    )
    if options.parquet:
        options.parquet.mkdir(parents=True, exist_ok=True)
        pd.DataFrame(networks).to_parquet(options.parquet / "networks.parquet")
        pd.DataFrame(layers).to_parquet(options.parquet / "layers.parquet")


if __name__ == "__main__":
    main()

"""What a progressive step and a new candidate's decomposition cost, as ratios taken in one run.

    RANKSEARCH_DATA=… python tests/benchmarks/steps_and_decomposition.py [--rounds 5] [--steps 6] [--model vgg16]

Prints: the progressive step against the dense step in the same precision and data path (distillation in both, then in
neither); at λ = 0 also with the teacher's answers known from an earlier trial; the same against a naive implementation
(frozen convolution beside a chain of three, float32, a DataLoader with PIL transforms); decomposing all layers for a
new candidate against TensorLy's `partial_tucker`; and where the seconds of one trial go. Arms take turns, so that a
drifting machine slows all.
"""

import argparse
import os
import statistics
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import tensorly
import torch
from PIL import Image
from tensorly.decomposition import partial_tucker
from torch import nn
from torchvision import transforms

from ranksearch.allocation import RateDistortion
from ranksearch.decomposition import NestedBases, network_bases
from ranksearch.layers import NetworkSpec, RankConfiguration, Tucker2
from ranksearch.networks import Examples, build_network, load_weights, make_splits, walk
from ranksearch.progressive import CLASSIFICATION, Precision, Teacher, attach, fine_tune, probe_precision
from ranksearch.records import NO_DECAY, DecaySchedule, Recipe

NORMALIZE = {"mean": [0.485, 0.456, 0.406], "std": [0.229, 0.224, 0.225]}
BATCH = 128
WEIGHTS = {"resnet20": "resnet20-12fca82f.th", "vgg16": "vgg16-cifar10.pt"}


class NaiveLayer(nn.Module):
    """The obvious implementation: the frozen convolution beside a chain of three."""

    def __init__(self, dense: nn.Conv2d, bases: NestedBases, ranks: Tucker2) -> None:
        super().__init__()
        factors = bases.factors(ranks)
        self.dense = dense.requires_grad_(False)
        self.decay = 0.5
        self.first = nn.Conv2d(dense.in_channels, ranks.rank_in, 1, bias=False)
        self.core = nn.Conv2d(ranks.rank_in, ranks.rank_out, dense.kernel_size, dense.stride, dense.padding, bias=False)
        self.last = nn.Conv2d(ranks.rank_out, dense.out_channels, 1, bias=False)
        self.first.weight.data = factors.factor_in.T[:, :, None, None].clone()
        self.core.weight.data = factors.core.clone()
        self.last.weight.data = factors.factor_out[:, :, None, None].clone()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.last(self.core(self.first(x))) + self.decay * self.dense(x)


def naive_network(network: nn.Module, bases: dict[str, NestedBases], ranks: RankConfiguration) -> nn.Module:
    import copy

    made = copy.deepcopy(network)
    for name, chosen in ranks.layers.items():
        if isinstance(chosen, Tucker2):
            parent, _, child = name.rpartition(".")
            setattr(made.get_submodule(parent), child, NaiveLayer(made.get_submodule(name), bases[name], chosen))
    return made


def naive_batches(path: Path) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
    """A DataLoader over PIL images with torchvision's transforms, in this process."""
    found = np.load(path)
    images, labels = found["x"][:5000].transpose(0, 2, 3, 1), found["y"][:5000]
    augment = transforms.Compose(
        [
            transforms.RandomCrop(32, 4),
            transforms.RandomHorizontalFlip(),
            transforms.ToTensor(),
            transforms.Normalize(**NORMALIZE),
        ]
    )

    class Pictures(torch.utils.data.Dataset):
        def __len__(self) -> int:
            return len(images)

        def __getitem__(self, i: int) -> tuple[torch.Tensor, int]:
            return augment(Image.fromarray(images[i])), int(labels[i])

    while True:
        yield from torch.utils.data.DataLoader(Pictures(), BATCH, shuffle=True, drop_last=True)


def naive_steps(network: nn.Module, teacher: nn.Module | None, batches: Iterator, steps: int) -> float:
    """Seconds per step of the plain float32 loop."""
    learned = [p for p in network.parameters() if p.requires_grad]
    optimizer = torch.optim.SGD(learned, 0.01, momentum=0.9, nesterov=True)
    network.train()
    began = time.perf_counter()
    for _ in range(steps):
        inputs, targets = next(batches)
        outputs = network(inputs)
        loss = nn.functional.cross_entropy(outputs, targets)
        if teacher is not None:
            with torch.no_grad():
                wanted = teacher(inputs)
            loss = 0.1 * loss + 0.9 * CLASSIFICATION.distil(outputs, wanted, 4.0)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return (time.perf_counter() - began) / steps


def our_steps(
    network: nn.Module,
    teacher: Teacher | None,
    train: Examples,
    precision: Precision,
    schedule: DecaySchedule,
    steps: int,
) -> float:
    """Seconds per step of the product's own loop."""
    recipe = Recipe(images=BATCH * steps, distillation=0.9 if teacher else 0.0, learn="adapters+norm")
    if schedule == NO_DECAY:
        recipe = Recipe(images=BATCH * steps, distillation=recipe.distillation, learn="all")
    trained = fine_tune(
        network, train, recipe, schedule, task=CLASSIFICATION, teacher=teacher, seed=0, precision=precision,
        device=torch.device("cpu"),
    )  # fmt: skip
    return trained.seconds_per_step


def in_turn(arms: dict[str, Callable[[], float]], rounds: int) -> dict[str, float]:
    """Median of each arm over ``rounds`` turns, after one that does not count."""
    found: dict[str, list[float]] = {name: [] for name in arms}
    for turn in range(rounds + 1):
        for name, arm in arms.items():
            seconds = arm()
            if turn:
                found[name].append(seconds)
    return {name: statistics.median(seconds) for name, seconds in found.items()}


def decomposition_seconds(
    network: nn.Module, spec: NetworkSpec, bases: dict[str, NestedBases], ranks: RankConfiguration
) -> tuple[float, float]:
    """Seconds to decompose all k×k layers of a new candidate: from the nested bases, and by TensorLy."""
    chosen = {n: r for n, r in ranks.layers.items() if isinstance(r, Tucker2)}
    ours, theirs = [], []
    with tensorly.backend_context("pytorch"):
        for _ in range(5):
            began = time.perf_counter()
            for name, r in chosen.items():
                bases[name].factors(r)
            ours.append(time.perf_counter() - began)
            began = time.perf_counter()
            for name, r in chosen.items():
                weight = network.get_submodule(name).weight.detach()
                partial_tucker(weight, rank=[r.rank_out, r.rank_in], modes=[0, 1])
            theirs.append(time.perf_counter() - began)
    return statistics.median(ours), statistics.median(theirs)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--steps", type=int, default=6)
    parser.add_argument("--model", choices=list(WEIGHTS), default="resnet20")
    parser.add_argument("--ratio", type=float, default=4.0)
    options = parser.parse_args()
    folder = Path(os.environ["RANKSEARCH_DATA"])
    cpu = torch.device("cpu")
    splits = make_splits(
        f"npz:{folder}/cifar10", search=5000, normalize=NORMALIZE, augment=("crop:4", "flip"), seed=0, base=folder
    )
    network = build_network(options.model, classes=10)
    load_weights(network, folder / "weights" / WEIGHTS[options.model])
    network.eval()
    spec = walk(network, splits.train.example())
    bases = network_bases(network, spec)
    ranks = RateDistortion(spec, {n: b.table for n, b in bases.items()}, "pivoted")(options.ratio)
    precision = probe_precision(network, *next(splits.train.batches(BATCH, seed=0)), CLASSIFICATION)
    print(f"torch {torch.__version__}, {torch.get_num_threads()} threads, precision {precision.name}, batch {BATCH}")
    dense = RankConfiguration({})
    fading = DecaySchedule(shape="linear", end=1.0)
    pictures = naive_batches(folder / "cifar10_train.npz")
    for teacher, name in ((network, "with distillation"), (None, "without distillation")):

        def step(ranks: RankConfiguration, schedule: DecaySchedule, teacher: nn.Module | None = teacher) -> float:
            asked = teacher and Teacher(teacher, precision)  # a new one: every answer is asked for
            return our_steps(attach(network, bases, ranks), asked, splits.train, precision, schedule, options.steps)

        arms: dict[str, Callable[[], float]] = {
            "dense": lambda step=step: step(dense, NO_DECAY),
            "progressive": lambda step=step: step(ranks, fading),
            "decayed": lambda step=step: step(ranks, NO_DECAY),
            "naive": lambda teacher=teacher: naive_steps(
                naive_network(network, bases, ranks), teacher, pictures, options.steps
            ),
        }
        if teacher:
            known = Teacher(teacher, precision)  # the turn that does not count asks it
            arms["known"] = lambda known=known: our_steps(
                attach(network, bases, ranks), known, splits.train, precision, NO_DECAY, options.steps
            )
        found = in_turn(arms, options.rounds)
        rates = ", ".join(f"{arm} {BATCH / seconds:.0f} img/s" for arm, seconds in found.items())
        print(f"{name}: {rates}")
        print(f"  progressive / dense speed   {found['dense'] / found['progressive']:.2f}   (bar: 0.7)")
        print(f"  λ = 0 / dense speed         {found['dense'] / found['decayed']:.2f}")
        print(f"  progressive / naive speed   {found['naive'] / found['progressive']:.2f}")
        if teacher:
            print(f"  λ = 0, known / asked speed  {found['decayed'] / found['known']:.2f}")
    ours, theirs = decomposition_seconds(network, spec, bases, ranks)
    print(f"decomposing a candidate: {ours * 1e3:.2f} ms, TensorLy partial_tucker {theirs * 1e3:.0f} ms")
    print(f"  cheaper by                  {theirs / ours:.0f}×   (bar: 100×)")

    from ranksearch.records import trial_seed
    from ranksearch.subject.subject import make_subject
    from ranksearch.subject.trial import Plan, run_trial

    subject = make_subject(network, splits, device=cpu, precision=precision.name)
    plan = Plan(ranks, DecaySchedule(shape="cosine"), Recipe(images=6400), trial_seed(0, "benchmark"))
    cost = run_trial(subject, bases, plan, "pivoted")[1].cost
    print(f"a trial of {plan.recipe.images} images: {cost.seconds:.1f} s")
    for part in ("decomposition", "training", "measuring"):
        seconds = getattr(cost, f"{part}_seconds")
        print(f"  {part:14} {seconds:6.2f} s  {seconds / cost.seconds:5.1%}")


if __name__ == "__main__":
    main()

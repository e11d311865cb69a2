"""The verb ``allocate``: ranks in closed form, or by a few untrained measurements, without a study's trials."""

from functools import cache
from pathlib import Path

import msgspec
from rich.console import Console

from ..allocation import ALLOCATORS, Allocator, Cost, RateDistortion
from ..artifacts.take_away import objectives, require_rank_suffix
from ..errors import BudgetError, nearest
from ..layers import RankConfiguration, network_cost
from ..records import Measurement, RankFile
from ..study import StudyFile, fingerprint, training_of
from ..subject.looks import quick_looks
from ..subject.profiles import measure_profiles
from ..subject.subject import study_subject
from ..subject.trial import untrained
from ..subject.weight_search import search_weights

MEASURED = "rate-distortion:measured"  # sums the distances that each layer alone causes, measured first
LOOKED_AT = 1000  # search images, and as many training images for batch norm, where many allocations are compared


def allocate_ranks(
    study: StudyFile,
    ratio: float | None,
    console: Console,
    *,
    allocator: str | None = None,
    budget: Cost = "params",
    candidates: int = 1,
    output: Path | None = None,
    device: str | None = None,
) -> RankFile:
    """Chooses ranks, measures them untrained, writes the rank file.

    Args:
        ratio: dense / compressed by what ``budget`` counts.
        allocator: of :data:`ALLOCATORS`, or :data:`MEASURED`; rate–distortion with the study's distortion unless given.
        candidates: weightings of the layers that are tried untrained; 1 is the closed form itself.

    Raises:
        BudgetError: unknown allocator, one whose layers have no weights to search, or a ratio that it lacks, does not
            take, or cannot reach.
    """
    name = allocator or f"rate-distortion:{study.ranks.distortion}"
    require_allocator(name, ratio, candidates, budget)
    asked = f"-{ratio:g}x" + (f"-{budget}" if budget != "params" else "") if ratio else ""
    path = output or Path(f"{study.name}-{name.replace(':', '-')}{asked}.json")
    require_rank_suffix(path)
    subject = study_subject(study, device=device)
    bases, form, multiple_of = subject.bases(study.ranks.basis), study.ranks.form, study.ranks.multiple_of
    tables = {layer: b.table for layer, b in bases.items()}

    def look(configuration: RankConfiguration) -> Measurement:
        return looks()["untrained"](configuration)

    looks = cache(lambda: quick_looks(subject, bases, None, ["untrained"], LOOKED_AT))  # where anything is looked at
    if name == MEASURED:
        with console.status("measuring each layer's profile") as status:
            profiles = measure_profiles(
                subject.spec, tables, form, look, on_layer=lambda layer: status.update(f"profile of {layer}")
            )
        chosen = Allocator.summing(MEASURED, profiles)
    else:
        chosen = ALLOCATORS[name]
    if candidates > 1 and chosen.distortion and ratio:
        rule = RateDistortion(subject.spec, tables, form, multiple_of, chosen.distortion, budget)
        with console.status("searching layer weights") as status:
            configuration = search_weights(
                rule, ratio, look, candidates=candidates, seed=study.search.seed,
                on_candidate=lambda tried, least: status.update(f"{tried}/{candidates}: distance {least:.4f}"),
            )  # fmt: skip
    else:
        configuration = chosen(subject.spec, tables, ratio, form=form, multiple_of=multiple_of, cost=budget)
    measured = untrained(subject, bases, configuration, form)[1]
    plain, pivoted = (network_cost(subject.spec, configuration, f) for f in ("plain", "pivoted"))
    schedule, recipe = training_of(study, len(subject.splits.train))
    recipe = msgspec.structs.replace(recipe, init="decomposition")  # there may be no study, hence no elastic adapter
    ranks = RankFile(
        network={
            "model": study.network.model,
            "weights": fingerprint({}, {}, weights=subject.weights)["weights"],
        },
        configuration=configuration,
        schedule=schedule,
        recipe=recipe,
        form=form,
        flattened=subject.spec.flattened,
        objectives=objectives(plain, pivoted),
        measured=measured,
        provenance={
            "study": study.name,
            "allocator": name,
            "budget": budget,
            "candidates": candidates,
            "trained": False,
        },
    )
    console.print(
        f"{name}: {pivoted.compression_ratio:.2f}× pivoted, {plain.compression_ratio:.2f}× plain; MAC ratio "
        f"{pivoted.mac_ratio:.2f}× pivoted, {plain.mac_ratio:.2f}× plain; untrained {measured.accuracy:.2%} on the "
        f"search split (dense {subject.dense.accuracy:.2%}), distance {measured.distance:.3f}",
        soft_wrap=True,
    )
    ranks.write(path)
    console.print(f"{path} written", soft_wrap=True)
    return ranks


def require_allocator(name: str, ratio: float | None, candidates: int, budget: Cost = "params") -> None:
    """Raises :class:`BudgetError` for what :func:`allocate_ranks` can tell before anything is loaded."""
    if name not in (*ALLOCATORS, MEASURED):
        raise BudgetError(f"no allocator {name!r}{nearest(name, [*ALLOCATORS, MEASURED])}")
    takes_ratio = name == MEASURED or ALLOCATORS[name].takes_ratio
    if takes_ratio and ratio is None:
        raise BudgetError(f"{name} needs a compression ratio to reach: --ratio 4, say")
    if not takes_ratio and ratio is not None:
        raise BudgetError(f"{name} finds its own ratio: leave out --ratio {ratio:g}")
    if not takes_ratio and budget != "params":
        raise BudgetError(f"{name} finds its own ratio, of nothing in particular: leave out --budget {budget}")
    if candidates > 1 and name != MEASURED and ALLOCATORS[name].distortion is None:
        raise BudgetError(f"{name} has no layer weights to search: --search goes with rate-distortion only")

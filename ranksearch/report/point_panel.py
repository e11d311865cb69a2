"""What the page tells of a point that is picked: ranks in their legal range, λ, milestones, cost per layer, command."""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from ..layers import (
    Dense,
    Form,
    LayerRanks,
    LayerSpec,
    NetworkCost,
    RankConfiguration,
    full_ranks,
    layer_macs,
    layer_params,
    network_cost,
)
from ..layers.configuration import as_tuple
from ..records import LatencyComparison, Milestone, StudyRecord, Trial, TrialRecord
from .blocks import Fact
from .export_command import ExportCommand
from .picks import Picks, picks
from .schedule_figure import decay_curve
from .study_view import StudyView
from .wording import MISSING, count, duration, large, percent, points, schedule_words, times

STEPS = 50  # pieces of a curve of λ


@dataclass(frozen=True)
class LayerCost:
    """A layer as one or several networks have it.

    Attributes:
        ranks: one per mode; none where the layer is dense.
        params, macs: by the study's form, in words.
        share: of the dense layer's parameters, in [0, 1] (and above in the plain form).
        reason: why it is dense.
    """

    ranks: tuple[int, ...]
    params: str
    macs: str
    share: float
    reason: str = ""


@dataclass(frozen=True)
class Layer:
    """A compressible layer: its largest legal ranks and what it costs dense; ``costs`` of all points, each once."""

    name: str
    full: tuple[int, ...]
    params: str
    macs: str
    costs: tuple[LayerCost, ...]


@dataclass(frozen=True)
class PanelPoint:
    """One point.

    Attributes:
        title: who it is.
        remark: where it comes from, and what became of it.
        facts: its key figures.
        training: schedule, learning rate, seconds; empty where it was not trained.
        costs: index into the costs of every layer.
        curve: index into the study's curves of λ; none where it was not trained.
        looks: progress, λ, loss and accuracy of every milestone and of the end, in words.
        select: as ``ranksearch export --select`` takes it; empty where nothing can be exported.
    """

    title: str
    remark: str
    facts: tuple[Fact, ...]
    training: str
    costs: tuple[int, ...]
    curve: int | None
    looks: tuple[tuple[str, str, str, str], ...]
    select: str


@dataclass(frozen=True)
class StudyPanels:
    """All points of a study that can be picked, by key, and what picks them.

    Attributes:
        export: what stands before and after a selection in the command that exports.
        curves: λ, mean over layers, at equidistant points of a trial, each once.
        along: keys of the front, from the largest network to the smallest.
    """

    study: str
    form: str
    export: ExportCommand
    layers: tuple[Layer, ...]
    curves: tuple[tuple[float, ...], ...]
    points: dict[str, PanelPoint]
    along: tuple[str, ...]
    picks: Picks


def study_panels(view: StudyView, study_file: str | None) -> StudyPanels:
    """The panels of one study.

    Args:
        study_file: path of the study file, as in a command; a notebook's study has none.
    """
    study = view.study
    made = _Maker(study, frozenset(view.front["number"]))
    found = {f"trials/{t.number}": made.trial(t, t.record) for t in view.history.ended() if _works(t) and t.record}
    found |= {
        f"baselines/{t.number}": made.baseline(t.record)
        for t in view.history.ended("baselines")
        if _works(t) and t.record
    }
    for place, form in enumerate(study.closed_form):
        found[f"closed_form/{place}"] = made.untrained(form.label, form.configuration, form.measured.accuracy)
    return StudyPanels(
        study.name,
        study.form,
        ExportCommand.of(study_file),
        tuple(
            Layer(spec.name, full_ranks(spec), count(spec.params), large(spec.macs), tuple(costs))
            for spec, costs in zip(study.network.layers, made.costs, strict=True)
        ),
        tuple(made.curves),
        found,
        tuple(f"trials/{number}" for number in view.front["number"]),
        picks(view),
    )


def _works(trial: Trial) -> bool:
    return trial.record is not None and not trial.record.failure


class _Maker:
    """Makes points, and collects what they share: layers of equal ranks, curves of equal schedules."""

    def __init__(self, study: StudyRecord, front: frozenset[int]) -> None:
        self.study, self.front = study, front
        self.costs: list[dict[LayerCost, int]] = [{} for _ in study.network.layers]
        self.curves: dict[tuple[float, ...], int] = {}

    def trial(self, trial: Trial, record: TrialRecord) -> PanelPoint:
        """A trial of the search."""
        became = "on the front" if trial.number in self.front else "another is at least as good in everything"
        if not record.meets(self.study.floors):
            became = "below a floor of the study"
        return self._trained(
            record,
            f"Trial {trial.number}",
            f"{record.origin} · {f'stopped {record.stopped}' if record.stopped else became}",
            "" if record.stopped else f"trial={trial.number}",
        )

    def baseline(self, record: TrialRecord) -> PanelPoint:
        """A baseline."""
        return self._trained(record, record.origin.capitalize(), "not of the search, trained like a trial", "")

    def untrained(self, label: str, chosen: RankConfiguration, accuracy: float) -> PanelPoint:
        """An allocation in closed form."""
        network = self.study.network
        plain, pivoted = (network_cost(network, chosen, form) for form in ("plain", "pivoted"))
        facts = self._facts(accuracy, plain, pivoted)
        return PanelPoint(label, "closed form, untrained", facts, "", self._costs(chosen), None, (), "")

    def _trained(self, record: TrialRecord, title: str, remark: str, selection: str) -> PanelPoint:
        curve = decay_curve(record.schedule, len(self.study.network.layers), STEPS)
        last = Milestone(record.recipe.images, 0.0, np.nan, record.measured.accuracy)
        looks = record.milestones if record.stopped else (*record.milestones, last)
        return PanelPoint(
            title,
            remark,
            self._facts(record.measured.accuracy, record.plain, record.pivoted) + _latency(record.latency),
            f"{schedule_words(record.schedule)} · lr {record.recipe.lr:.3g} · {count(record.cost.images)} images in "
            f"{duration(record.cost.seconds)}",
            self._costs(record.configuration),
            self.curves.setdefault(curve, len(self.curves)),
            tuple(_look(look, record.recipe.images) for look in looks),
            selection,
        )

    def _facts(self, accuracy: float, plain: NetworkCost, pivoted: NetworkCost) -> tuple[Fact, ...]:
        counted, other, named = (
            (pivoted, plain, "plain") if self.study.form == "pivoted" else (plain, pivoted, "pivoted")
        )
        return (
            Fact(percent(accuracy, 2), "accuracy", f"{points(accuracy - self.study.dense.accuracy)} to dense"),
            Fact(times(counted.compression_ratio), f"{self.study.form} ratio", f"{count(counted.params)} parameters"),
            Fact(times(other.compression_ratio), f"{named} ratio", f"{count(other.params)} parameters"),
            Fact(times(counted.mac_ratio), "MAC ratio", f"{large(counted.macs)} per image"),
        )

    def _costs(self, chosen: RankConfiguration) -> tuple[int, ...]:
        return tuple(
            known.setdefault(layer_cost(spec, chosen[spec.name], self.study.form), len(known))
            for spec, known in zip(self.study.network.layers, self.costs, strict=True)
        )


@lru_cache(maxsize=2**16)
def layer_cost(spec: LayerSpec, ranks: LayerRanks, form: Form) -> LayerCost:
    """What a layer costs with these ranks."""
    params = layer_params(spec, ranks, form)
    reason = ranks.reason if isinstance(ranks, Dense) else ""
    macs = large(layer_macs(spec, ranks, form))
    return LayerCost(as_tuple(ranks), count(params), macs, round(params / spec.params, 3), reason)


def _latency(latency: LatencyComparison | None) -> tuple[Fact, ...]:
    if latency is None:
        return ()
    compressed, dense = (f"{1e3 * timed.median:.3g} ms" for timed in (latency.compressed, latency.dense))
    return (Fact(times(latency.ratio), "latency ratio", f"{compressed}, dense {dense}"),)


def _look(look: Milestone, images: int) -> tuple[str, str, str, str]:
    return (
        percent(min(1.0, look.images / images), 0),
        f"{look.decay:.2f}",
        f"{look.loss:.3g}" if np.isfinite(look.loss) else MISSING,
        MISSING if look.accuracy is None else percent(look.accuracy),
    )

"""One process's hold on a study: its subject, error tables, variables and books."""

import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property

import msgspec
from torch import nn

from ..allocation import DISTORTIONS, RateDistortion, attainable_ratio, rounded_down
from ..artifacts.artifacts import Artifacts, file_digest
from ..artifacts.elastic_file import read_elastic
from ..artifacts.network_store import NetworkStore
from ..decomposition import Decomposition, Hooi, NestedBases, read_bases, write_bases
from ..errors import BudgetError, StudyChangedError, StudyFileError, WeightsError
from ..layers import ErrorTable, Form, RankConfiguration, network_cost
from ..progressive import Elastic, QuickLook
from ..records import CheapStage, DecaySchedule, LatencyComparison, Recipe, StudyRecord, trial_seed
from ..records.recipe import Init
from ..study import Ledger, Planned, StudyFile, Variables, fingerprint, open_storage, require_same, settings
from ..subject.looks import quick_looks
from ..subject.subject import Subject, same_outputs, study_subject
from ..subject.timing import require_same_kind, time_beside_dense
from ..subject.trial import Plan
from ..whole_file import copy_whole

BASES, DENSE = "bases.safetensors", "dense.safetensors"
METHOD_VERSION = 10  # of what turns a proposal into a measurement


@dataclass(frozen=True)
class Session:
    """What a process needs to work on a study.

    Attributes:
        id: of the study; a new one where it is to be made.
        subject: the dense network and its data on this machine.
        bases: nested bases by layer.
        variables: of the search, with their decoding.
        ledger: the study in its storage.
        artifacts: the files that the study's machines share.
        store: the measured networks of the front, among them.
    """

    study: StudyFile
    id: str
    subject: Subject
    bases: Mapping[str, NestedBases]
    variables: Variables
    ledger: Ledger
    artifacts: Artifacts
    store: NetworkStore

    @property
    def form(self) -> Form:
        return self.study.ranks.form

    @property
    def tables(self) -> dict[str, ErrorTable]:
        return {name: bases.table for name, bases in self.bases.items()}

    def ratio(self, configuration: RankConfiguration) -> float:
        """Dense / compressed by the study's count."""
        return network_cost(self.subject.spec, configuration, self.form).compression_ratio

    @cached_property
    def looks(self) -> dict[CheapStage, QuickLook]:
        """The study's cheap stages, made when first asked for."""
        screen = self.study.screen
        return quick_looks(self.subject, self.bases, self.elastic, screen.stages, screen.images)

    @property
    def timed(self) -> Callable[[nn.Module], LatencyComparison] | None:
        """How a trial's network is timed, where the search compares latencies."""
        if not self.study.search.compares_latency:
            return None
        return lambda network: time_beside_dense(self.subject, network, self.study.latency)

    @cached_property
    def elastic(self) -> Elastic | None:
        """The study's elastic adapter; None where it is off, or not trained yet.

        Raises:
            WeightsError: it was trained, but its file cannot be had from here, or is another one.
            StudyChangedError: it computes something else here.
        """
        record = self.ledger.elastic if self.ledger.exists else None
        if record is None or record.off:
            return None
        return read_elastic(self.subject, self.bases, record, self.artifacts)

    def start(self, init: Init) -> tuple[nn.Module, Mapping[str, Decomposition]]:
        """What adapters are attached to, and what they start from.

        Raises:
            StudyFileError: from the elastic adapter, and the study has none.
            WeightsError, StudyChangedError: as :attr:`elastic`.
        """
        network = self.subject.network
        if init == "decomposition":
            return network, self.bases
        if init == "hooi":
            return network, {n: Hooi(b, network.get_parameter(f"{n}.weight")) for n, b in self.bases.items()}
        if self.elastic is None:
            raise StudyFileError(
                f"study {self.study.name!r} has no elastic adapter to start from: `ranksearch search` trains it where "
                'training.init = "elastic"; or start from the decomposition (finetune.init = "decomposition")'
            )
        return self.elastic.network, self.elastic.bases

    def plan(
        self, configuration: RankConfiguration, schedule: DecaySchedule, recipe: Recipe, origin: str = "sampler"
    ) -> Plan:
        """A trial's plan. All trials of a study have one seed, which follows from the study's: they see the same
        images, so that two of them differ by what they train alone, and the teacher answers once.

        Where the elastic adapter is off, it starts from the decomposition.
        """
        if recipe.init == "elastic" and (record := self.ledger.elastic) and record.off:
            recipe = msgspec.structs.replace(recipe, init="decomposition")
        return Plan(configuration, schedule, recipe, trial_seed(self.study.search.seed, "trials"), origin)

    def planned(self, job: Planned, origin: str) -> Plan:
        """The plan of a job that no variables express, with its own seed where it has one."""
        plan = self.plan(job.configuration, job.schedule, job.recipe, origin)
        return plan if job.seed is None else replace(plan, seed=job.seed)

    @property
    def fingerprint(self) -> dict[str, str]:
        """Digests of everything that changes a measurement or the space."""
        return fingerprint(
            settings(self.study),
            self.variables.described(),
            weights=self.subject.weights,
            splits=self.subject.splits.fingerprint,
            test=self.subject.splits.test.fingerprint if self.subject.splits.test else None,
            frozen=self.subject.frozen,
            method=METHOD_VERSION,
        )


def open_session(
    study: StudyFile,
    *,
    device: str | None = None,
    subject: Callable[[str | None], Subject] | None = None,
    ledger: Ledger | None = None,
) -> Session:
    """Opens a study, whether it was made before or not; its bases are those that it was made with.

    Args:
        subject: makes the subject, given the precision that the study was made with, if it was; by default from
            the study file.
        ledger: of the study, where it is open already.

    Raises:
        StudyChangedError: it was made under other conditions.
        WeightsError: its bases cannot be had from here.
        BudgetError: the study's box cannot be attained.
        StorageError: the storage cannot be reached.
    """
    ledger = ledger or Ledger(open_storage(study.storage_url), study.name)
    earlier, now = ledger.record if ledger.exists else None, settings(study)
    id = earlier.id if earlier else secrets.token_hex(4)
    artifacts = Artifacts.of(study, id)
    unheld = set() if earlier is None or ledger.has_elastic else {"elastic"}  # nothing came of it yet
    before = dict(earlier.settings) | {part: now[part] for part in unheld} if earlier else {}
    if earlier:  # a changed setting is told by its name, before it leads to layers that the study has no bases of
        require_same(study.name, fingerprint(before, {}), fingerprint(now, {}), before, now)
    dense = earlier.dense_file if earlier else ""
    trained = artifacts.require(DENSE, dense, "the study's dense network") if dense else None
    make = subject or (lambda precision: study_subject(study, device=device, precision=precision, trained=trained))
    made = make(earlier.machine.precision if earlier else None)
    require_attainable(study, made)
    ranks = study.ranks
    bases = fetch_bases(made, artifacts, earlier.bases) if earlier and earlier.bases else made.bases(ranks.basis)
    tables = {name: b.table for name, b in bases.items()}
    allocate = RateDistortion(made.spec, tables, ranks.form, ranks.multiple_of, DISTORTIONS[ranks.distortion])
    variables = Variables(study, made.spec, allocate, len(made.splits.train))
    session = Session(study, id, made, bases, variables, ledger, artifacts, NetworkStore(artifacts))
    if earlier:
        found = session.fingerprint
        unheld |= set() if earlier.splits["test"] else {"test"}  # no trial has seen it: it may come later
        old = earlier.fingerprint | {part: found[part] for part in unheld if part in found}
        require_same(study.name, old, found, before, now)
        require_same_network(earlier, made)
        if study.search.compares_latency:
            require_same_kind(earlier, made)
    return session


def store_bases(bases: Mapping[str, NestedBases], artifacts: Artifacts) -> str:
    """Shares a study's bases and error tables, for no two machines find the same; returns the file's digest."""
    return file_digest(artifacts.put(BASES, lambda path: write_bases(bases, path)))


def store_dense(subject: Subject, artifacts: Artifacts) -> str:
    """Shares the dense network that was trained for the study, likewise; returns the file's digest, empty where it was
    given."""
    trained = subject.trained
    return file_digest(artifacts.put(DENSE, lambda path: copy_whole(trained, path))) if trained else ""


def fetch_bases(subject: Subject, artifacts: Artifacts, digest: str) -> dict[str, NestedBases]:
    """What :func:`store_bases` shared, on the subject's device.

    Raises:
        WeightsError: it cannot be had from here, or does not fit the network.
    """
    path = artifacts.require(BASES, digest, "the study's bases")
    bases = read_bases(subject.spec, path, subject.device)
    if bases is None:
        raise WeightsError(f"{path}: the study's bases do not fit the network's layers")
    return bases


def require_attainable(study: StudyFile, subject: Subject) -> None:
    """Raises :class:`BudgetError` where the box lies outside what the network can reach."""
    ranks = study.ranks
    highest = attainable_ratio(subject.spec, ranks.form, ranks.multiple_of)
    if ranks.ratio[1] > highest or ranks.ratio[0] < 1:
        raise BudgetError(
            f"ranks.ratio = [{ranks.ratio[0]:g}, {ranks.ratio[1]:g}] must lie within 1 and "
            f"{rounded_down(highest)}, the ratio with every rank at its smallest "
            f"({ranks.form} count; {subject.spec.fixed_params:,} parameters stay dense)"
        )
    if ranks.accuracy_floor >= subject.dense.accuracy:
        raise BudgetError(
            f"ranks.accuracy_floor = {ranks.accuracy_floor:g} must lie below the dense network's "
            f"{subject.dense.accuracy:.4f} on the search split"
        )


def require_same_network(earlier: StudyRecord, subject: Subject) -> None:
    """Raises :class:`StudyChangedError` where the dense network has its old weights but computes something else,
    or is judged by another loss or metric."""
    if not same_outputs(earlier.dense_outputs, subject.sample_outputs):
        changed = "the dense network has its old weights but other outputs"
    elif abs(earlier.dense.accuracy - subject.dense.accuracy) > 0.01:  # other hardware rounds a few images otherwise
        changed = f"the dense score was {earlier.dense.accuracy:.4f} and is {subject.dense.accuracy:.4f}"
    elif earlier.dense_loss is not None and not same_outputs([earlier.dense_loss], [subject.sample_loss]):
        changed = f"the dense network's loss was {earlier.dense_loss:.4g} and is {subject.sample_loss:.4g}"
    else:
        return
    raise StudyChangedError(
        f"study {earlier.name!r} measured under other conditions: {changed}; was its forward, preprocessing, loss or "
        "metric changed? Restore it, or give the study a new name"
    )

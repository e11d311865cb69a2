"""The shared training of a study's elastic adapter: once, before the trials; killed, it goes on where it stopped."""

import time
from collections.abc import Callable, Iterator
from functools import partial

from rich.console import Console
from torch import nn

from ..allocation import Slices, attainable_ratio
from ..artifacts.elastic_file import sample_outputs, write_elastic
from ..errors import NonFiniteError
from ..layers import RankConfiguration
from ..progressive import Elastic, fine_tune, make_elastic, set_slice
from ..records import NO_DECAY, ClosedFormPoint, ElasticRecord, Measurement, trial_seed
from ..study import settings
from ..study.stage_sections import LEAST_STEPS
from ..terminal.progress import duration
from ..terminal.tables import closed_form_line
from .founding import untrained_measurement
from .session import Session

CHECKPOINT_EVERY = 250  # steps
SHOW_EVERY = 30  # seconds between two lines on its progress
SHOWN = 4  # slices of the closed-form front that are measured and printed in the end


def elastic_stage(session: Session, console: Console, until: float = float("inf")) -> Elastic | None:
    """Trains the adapter where trials are to start from it and it is not there yet, in one process while the others
    wait; says in print what it cost.

    Args:
        until: by ``time.monotonic()``; after it nobody waits.

    Returns:
        The adapter; None where no trial starts from it, or where it is off.

    Raises:
        NonFiniteError: the training diverged.
        WeightsError, StudyChangedError: as :attr:`Session.elastic`.
    """
    ledger = session.ledger
    if ledger.elastic is None and not session.study.starts_elastic:
        return None
    again = ledger.elastic is not None and is_due(session)  # a study that was too short may have been prolonged

    def waits() -> None:
        console.print("waiting for the process that trains the elastic adapter")

    train = partial(train_elastic, session, console)

    def settled() -> bool:
        booked = ledger.look_for_elastic()
        return booked is not None and not (again and booked.off)

    ledger.once("elastic", settled, train, until=until, on_wait=waits)
    record = ledger.elastic
    if record is not None and record.off:
        console.print(f"elastic adapter: off, {record.off}; trials start from the decomposition", soft_wrap=True)
    return session.elastic


def train_elastic(session: Session, console: Console) -> None:
    """Trains, writes and books the adapter; or books why there is none."""
    study, subject, ledger = session.study, session.subject, session.ledger
    section, whole = study.elastic, images_of_trials(session)
    steps = section.length(whole)
    each = f"{section.slices} × {section.batch} images"
    if not steps:
        least = f"a quarter of the trials' {whole:,} images is less than {LEAST_STEPS} steps of {each}"
        ledger.book_elastic(ElasticRecord(off="elastic.steps = 0" if section.steps == 0 else least))
        return
    images = steps * section.batch * section.slices
    console.print(
        f"elastic adapter: one training for all trials, {steps:,} steps of {each}, {images / whole:.0%} of what the "
        "trials see",
        soft_wrap=True,
    )
    slices = study_slices(session)
    network = make_elastic(subject.network, session.bases)

    def passes(network: nn.Module, step: int) -> Iterator[None]:
        for configuration in slices(step):
            set_slice(network, configuration)
            yield

    recipe, shows = section.recipe(steps), progress_lines(console)
    name = checkpoint_name(session, steps)
    checkpoint, send = session.artifacts.checkpoint(name)

    def on_step(done: int, of: int) -> None:
        send()
        shows(done, of)

    try:
        trained = fine_tune(
            network,
            subject.splits.train,
            recipe,
            NO_DECAY,
            task=subject.task,
            teacher=subject.teacher,
            seed=trial_seed(study.search.seed, "elastic"),
            precision=subject.precision,
            device=subject.device,
            passes=passes,
            settings={"slices": f"{section.slices} around {' '.join(c.digest for c in slices.closed_form)}"},
            checkpoint=checkpoint,
            checkpoint_every=CHECKPOINT_EVERY,
            on_step=on_step,
        )
    except NonFiniteError as error:
        told = str(error).replace("training.", "elastic.")
        raise NonFiniteError(f"elastic adapter: {told}; or elastic.steps = 0, without it") from None
    ledger.look_for_elastic()
    if ledger.has_elastic:  # it was frozen meanwhile, and another took its turn
        return
    elastic = Elastic.of(network, recipe.augment)
    record = ElasticRecord(
        recipe=recipe,
        slices=section.slices,
        images=images,
        seconds=trained.seconds,
        trainable_params=trained.trainable_params,
        peak_memory=trained.peak_memory,
        digest=write_elastic(network, session.artifacts),
        outputs=sample_outputs(subject, elastic),
        machine=subject.machine,
    )
    ledger.hold_to("elastic", settings(study)["elastic"], session.fingerprint["elastic"])
    ledger.book_elastic(record)
    session.artifacts.remove(name)
    console.print(
        f"elastic adapter: trained in {duration(trained.seconds)}; its slices, without a step of their own:",
    )
    for configuration in slices.closed_form[1 :: len(slices.closed_form) // SHOWN]:  # the smallest among them
        console.print(closed_form_line(slice_point(session, elastic, configuration)))


def checkpoint_name(session: Session, steps: int) -> str:
    """Of a training of that length by these settings: a session that allows another one begins its own."""
    return f"elastic-{steps}-{session.fingerprint['elastic'][:8]}.checkpoint"


def is_due(session: Session) -> bool:
    """Whether trials want the adapter, it is not trained, and the study as it is now is long enough for it."""
    trained = session.ledger.has_elastic
    return session.study.starts_elastic and not trained and session.study.elastic.length(images_of_trials(session)) > 0


def seconds_of_training(session: Session) -> float:
    """About what the shared training will still take, at the pace of a trial; 0 where it is over, or off."""
    if not is_due(session):
        return 0.0
    section, trial = session.study.elastic, session.study.training.length(len(session.subject.splits.train))
    images = section.length(images_of_trials(session)) * section.batch * section.slices
    return session.ledger.record.seconds_per_trial * images / trial


def images_of_trials(session: Session) -> int:
    """What the trials of the study will see in all, as far as its minutes allow."""
    search, trials = session.study.search, float(session.study.search.trials)
    if search.minutes:
        trials = min(trials, search.minutes * 60 / max(1e-9, session.ledger.record.seconds_per_trial))
    return max(1, round(trials * session.study.training.length(len(session.subject.splits.train))))


def study_slices(session: Session) -> Slices:
    """What each step of the study's shared training takes."""
    ranks, spec = session.study.ranks, session.subject.spec
    return Slices(
        session.variables.allocate,
        spec.names,
        ranks.ratio,
        attainable_ratio(spec, ranks.form, ranks.multiple_of),
        session.study.elastic.slices,
        session.study.search.seed,
    )


def slice_measurement(session: Session, elastic: Elastic, configuration: RankConfiguration) -> Measurement:
    """A slice, without any step of its own, on the search split."""
    return untrained_measurement(session, elastic.network, elastic.bases, configuration, elastic.augment)


def slice_point(session: Session, elastic: Elastic, configuration: RankConfiguration) -> ClosedFormPoint:
    """The same with its ratio."""
    ratio = session.ratio(configuration)
    measured = slice_measurement(session, elastic, configuration)
    return ClosedFormPoint(f"slice@{ratio:.2f}", configuration, ratio, measured)


def progress_lines(console: Console) -> Callable[[int, int], None]:
    """Prints steps done and time left every :data:`SHOW_EVERY` seconds."""
    began = shown = time.monotonic()
    first: int | None = None

    def on_step(done: int, of: int) -> None:
        nonlocal shown, first, began
        now = time.monotonic()
        if first is None:  # a resumed training starts in the middle, and the first step warms up
            first, began, shown = done, now, now
        elif now - shown >= SHOW_EVERY:
            shown = now
            left = duration((now - began) / (done - first) * (of - done))
            console.print(f"elastic adapter: step {done:,}/{of:,}, about {left} left")

    return on_step

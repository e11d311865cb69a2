"""One full-length training of a chosen configuration, or of the dense control: resumed wherever it stopped."""

from collections.abc import Callable

import msgspec

from ..artifacts.take_away import objectives
from ..export import save_compressed
from ..records import RankFile, TrialRecord
from ..subject.trial import Plan, run_trial
from .session import Session

OnStep = Callable[[int, int], None]


def run_finalist(session: Session, plan: Plan, ranks: RankFile | None, on_step: OnStep) -> TrialRecord:
    """Trains on train + search, measures on test, and stores the measured network among the study's artifacts.

    A checkpoint lies there after each epoch, from which any machine goes on; :func:`forget` removes it.

    Args:
        ranks: of the configuration; None for the dense control, whose network is not kept.
    """
    network, bases = session.start(plan.recipe.init)
    checkpoint, send = session.artifacts.checkpoint(_checkpoint(plan))

    def stepped(done: int, of: int) -> None:
        send()
        on_step(done, of)

    compressed, record = run_trial(
        session.subject,
        bases,
        plan,
        session.form,
        network=network,
        stage=session.subject.final_stage,
        checkpoint=checkpoint,
        on_step=stepped,
        timed=session.timed,
    )
    if ranks is not None and compressed is not None:
        told = msgspec.structs.replace(
            ranks,
            network={"model": session.study.network.model, "weights": session.fingerprint["weights"]},
            flattened=session.subject.spec.flattened,
            measured=record.measured,
            schedule=plan.schedule,
            recipe=plan.recipe,
            form=session.form,
            layer_forms={},
            objectives=objectives(record.plain, record.pivoted),
            provenance={**ranks.provenance, "origin": plan.origin, "seed": plan.seed, "trained": True},
        )
        session.artifacts.put(network_name(plan), lambda path: save_compressed(compressed, told, path))
    return record


def forget(session: Session, plan: Plan) -> None:
    """Removes a run's checkpoint, once its result is safe."""
    session.artifacts.remove(_checkpoint(plan))


def network_name(of: Plan | TrialRecord) -> str:
    """Of a run's compressed network among the artifacts."""
    return f"{of.run}.safetensors"


def _checkpoint(plan: Plan) -> str:
    return f"{plan.run}.checkpoint"

"""What is written on a queued trial: who proposed it, and what it is to do where no variables say so."""

import msgspec
import optuna

from ..layers import RankConfiguration
from ..records import DecaySchedule, RankFile, Recipe


class Planned(msgspec.Struct, frozen=True):
    """What a trial is to do that no variables express: a baseline, a finalist.

    Attributes:
        seed: of the training; it follows from the study's unless given.
        ranks: the rank file that it is of, to be kept with its network.
    """

    configuration: RankConfiguration
    schedule: DecaySchedule
    recipe: Recipe
    seed: int | None = None
    ranks: RankFile | None = None


def origin_of(trial: optuna.Trial) -> str:
    """Who proposed a trial: ``"sampler"`` unless it was queued."""
    return trial.user_attrs.get("origin", "sampler")


def planned(trial: optuna.Trial) -> Planned | None:
    """What a trial without variables is to do; ``None`` where its variables say it."""
    plan = trial.user_attrs.get("plan")
    return None if plan is None else msgspec.convert(plan, Planned)

"""How much each variable of a study matters for each of its objectives, by Optuna's own estimate."""

import warnings
from collections.abc import Callable

import optuna
from optuna.importance import PedAnovaImportanceEvaluator, get_param_importances
from optuna.trial import FrozenTrial, TrialState

from ..records import StudyHistory
from ..records.study_record import IMPORTANCE_TRIALS

SHARE, BEST = 0.1, 5  # the best trials that are compared with all: this share, at least so many


def importances(study: optuna.Study, history: StudyHistory) -> dict[str, dict[str, float]]:
    """Importance by variable, the largest first, by objective and for the ``"front"`` of all; each sums to 1.

    PED-ANOVA (Watanabe et al. 2023): how far the best tenth of the trials differ from all in one variable alone.
    Trials that failed, were stopped or copied another's measurement do not count; of fewer than
    :data:`IMPORTANCE_TRIALS` there is nothing.

    Args:
        study: of the room ``"trials"``.
        history: of the same study; tells which trials count.
    """
    counted = {t.number for t in history.finished() if t.record and not t.record.failure}
    trials = [t for t in study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,)) if t.number in counted]
    if len(trials) < IMPORTANCE_TRIALS:
        return {}
    names = history.study.objectives
    measured = optuna.create_study(directions=["maximize"] * len(names))
    measured.add_trials(trials)
    evaluator = PedAnovaImportanceEvaluator(target_quantile=max(SHARE, BEST / len(trials)))
    targets: dict[str, Callable[[FrozenTrial], float] | None] = {"front": None}
    targets |= {name: _lost(place) for place, name in enumerate(names)}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that a target is minimised: it is meant to be
        return {name: get_param_importances(measured, evaluator=evaluator, target=t) for name, t in targets.items()}


def _lost(place: int) -> Callable[[FrozenTrial], float]:
    """An objective as the estimate takes it: lower is better."""
    return lambda trial: -trial.values[place]

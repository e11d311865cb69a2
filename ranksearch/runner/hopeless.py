"""Whether a running trial is to be stopped: its milestones beside those of the study's other trials."""

from collections.abc import Callable, Sequence

from ..records import Milestone
from ..study.stopping import Curve, is_hopeless
from ..subject.trial import Plan
from .session import Session

#: origins whose trials are never stopped: the closed form's hold the front from end to end, and baselines are compared
SPARED = ("closed form", "baseline")


def judge(session: Session, plan: Plan) -> Callable[[Sequence[Milestone]], str]:
    """What :func:`.run_trial` asks at each milestone: a reason to stop the trial there, or nothing."""
    rule = session.study.search.stop
    ratio = session.ratio(plan.configuration)

    def hopeless(milestones: Sequence[Milestone]) -> str:
        if rule == "none" or plan.origin.startswith(SPARED):
            return ""
        others = [Curve.of(t.record) for t in session.ledger.history(rooms=["trials"]).ended() if t.record]
        if not is_hopeless(rule, Curve.so_far(ratio, milestones), others):
            return ""
        return f"by the rule {rule!r}, after {milestones[-1].images:,} of {plan.recipe.images:,} images"

    return hopeless

"""How many trials of a study are in which state: what a budget is compared with."""

import collections
from collections.abc import Sequence

import msgspec
from optuna.trial import FrozenTrial, TrialState


class Counts(msgspec.Struct, frozen=True):
    """Trials of a room by state.

    Attributes:
        finished: with a measurement of their own, also of those that were ``stopped`` early: both use up a budget.
        copies: finished without measuring anything of their own.
        failed: without a result, and not queued again as another.
    """

    finished: int
    copies: int
    failed: int
    running: int
    waiting: int
    stopped: int = 0

    @classmethod
    def of(cls, trials: Sequence[FrozenTrial]) -> "Counts":
        number = collections.Counter(t.state for t in trials)
        copies = sum(
            t.state == TrialState.COMPLETE and t.user_attrs.get("record", {}).get("copy_of") is not None for t in trials
        )
        again = {t.user_attrs.get("retry_of") for t in trials}
        stopped = sum(t.state == TrialState.PRUNED and "record" in t.user_attrs for t in trials)
        return cls(
            finished=number[TrialState.COMPLETE] - copies + stopped,
            copies=copies,
            failed=sum(t.state == TrialState.FAIL and t.number not in again for t in trials),
            running=number[TrialState.RUNNING],
            waiting=number[TrialState.WAITING],
            stopped=stopped,
        )

    @property
    def claimed(self) -> int:
        """How much of a budget is used or spoken for; compared with it before a trial is asked for."""
        return self.finished + self.running + self.waiting

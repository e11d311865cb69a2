"""One trial in this process, whatever happens to it."""

import math
from collections.abc import Callable, Sequence

import optuna
from optuna.exceptions import UpdateFinishedTrialError

from ..errors import NonFiniteError, StorageError, describe
from .abandoned import hand_back
from .patience import is_outage


class Stopped(optuna.TrialPruned):
    """A trial was ended before its time, and what is known of it is written down."""


def run_one(
    study: optuna.Study,
    objective: Callable[[optuna.Trial], Sequence[float]],
    catch: tuple[type[Exception], ...] = (),
) -> bool:
    """Runs one trial, of the queue or asked from the study's sampler, under a heartbeat.

    Why it failed is written into the trial. Ctrl-C, leaving by ``SystemExit``, or files
    that cannot be stored for now (:class:`StorageError`), hand it back: it is queued again.

    Args:
        study: of a room, :meth:`Ledger.study`.
        objective: ends with :meth:`Ledger.finish` or :meth:`Ledger.copy`, or raises :class:`Stopped`.
        catch: exceptions of ``objective`` that end its trial only; others are raised again here.

    Returns:
        Whether a result was kept: not where the trial failed, nor where it had nothing to do (``TrialPruned``) or was
        given up meanwhile because this worker was silent for too long, and another has it now.
    """
    began: list[int] = []
    returned: list[int] = []
    raised: list[BaseException] = []

    def watched(trial: optuna.Trial) -> Sequence[float]:
        began.append(trial.number)
        try:
            values = objective(trial)
            if not all(math.isfinite(value) for value in values):
                raise NonFiniteError(f"the objectives {tuple(values)} are not all finite")
        except Stopped:
            returned.append(trial.number)
            raise
        except (UpdateFinishedTrialError, optuna.TrialPruned):
            raise  # given up: there is nothing left to write to; or there was nothing to do
        except (KeyboardInterrupt, StorageError) as stop:
            raised.append(stop)
            raise
        except Exception as error:
            raised.append(error)
            if not is_outage(error):  # which is no reason to give the trial up
                cause = f" ({describe(error.__cause__)})" if error.__cause__ else ""
                trial.set_user_attr("reason", f"{type(error).__name__}: {error}{cause}"[:1000])
            raise
        returned.append(trial.number)
        return values

    try:
        study.optimize(watched, n_trials=1, catch=catch)
    except (KeyboardInterrupt, SystemExit, StorageError):
        hand_back(study)
        raise
    except UnboundLocalError as error:
        if error in raised or error.__context__ is None:
            raise
        if isinstance(error.__context__, KeyboardInterrupt | SystemExit):
            hand_back(study)
        raise error.__context__ from None  # Optuna trips where the storage fails, or it is stopped, in telling a trial
    except (UpdateFinishedTrialError, ValueError, AssertionError) as error:
        # Optuna cannot tell a trial that was ended elsewhere (optuna issue 5470): its result is dropped
        if error in raised or not began:  # the latter: the sampler's own
            raise
        if raised and isinstance(raised[0], (KeyboardInterrupt, StorageError)):
            raise raised[0] from None
        return False
    return bool(returned)

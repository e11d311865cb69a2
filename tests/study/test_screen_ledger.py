"""The books of the screen: rows come back as they were written, one at a time, without disturbing the study's own."""

import optuna

from ranksearch.layers import RankConfiguration, Svd, Tucker2
from ranksearch.records import CheapStage, ScreenedCandidate
from ranksearch.study import Ledger, open_storage

SPACE: dict[str, optuna.distributions.BaseDistribution] = {
    "log2_ratio": optuna.distributions.FloatDistribution(0.5, 3),
    "rank/fc": optuna.distributions.IntDistribution(1, 9),
}


def candidate(number: int, stage: CheapStage = "untrained", distance: float | None = 0.3) -> ScreenedCandidate:
    return ScreenedCandidate(
        number=number,
        stage=stage,
        values={"log2_ratio": 1 + number / 8, "rank/fc": 3},
        configuration=RankConfiguration({"conv2": Tucker2(3, 2), "fc": Svd(2)}),
        compression_ratio=2.0 + number,
        accuracy=0.1 * number,
        distance=distance,
        seconds=0.5,
    )


ROWS = (candidate(0), candidate(1, distance=None), candidate(2, "elastic"))


def test_candidates_come_back_as_they_were_written(ledger: Ledger, url: str) -> None:
    assert not ledger.screen.exists
    assert ledger.screen.candidates() == ()
    ledger.screen.make()
    for row in ROWS:
        ledger.screen.add(row, SPACE)
        assert row in ledger.screen.candidates()
    other = Ledger(open_storage(url), "small")
    assert other.screen.exists
    assert other.screen.candidates() == ROWS
    assert other.screen.candidates("elastic") == ROWS[2:]
    assert other.history(screen=True).screen == ROWS
    assert other.history().screen == ()
    assert other.history().trials == ()


def test_it_is_a_study_of_its_own_that_maximises(ledger: Ledger) -> None:
    ledger.screen.make()
    for row in ROWS:
        ledger.screen.add(row, SPACE)
    study = optuna.load_study(study_name="small/screen", storage=ledger.storage)
    assert [d.name for d in study.directions] == ["MAXIMIZE", "MAXIMIZE"]
    assert [t.values for t in study.trials] == [list(row.objectives) for row in ROWS]
    assert study.trials[0].values == [-0.3, 1.0]
    assert study.trials[1].values[0] < -100  # not finite
    assert study.trials[0].distributions == SPACE
    assert list(study.trials[0].user_attrs) == ["candidate"]


def test_it_is_over_once(ledger: Ledger) -> None:
    assert ledger.screen.queued is None
    ledger.screen.make()
    assert ledger.screen.queued is None
    ledger.screen.close(7)
    assert ledger.screen.queued == 7


def test_what_no_sampler_proposed_is_counted(ledger: Ledger) -> None:
    assert ledger.unsampled().total() == 0
    ledger.enqueue({"x": 1.0}, "closed form")
    ledger.enqueue({"x": 2.0}, "screen")
    assert ledger.unsampled().total() == 2
    study = ledger.study()
    study.tell(study.ask(), state=optuna.trial.TrialState.FAIL)  # the first of the queue
    study.ask()
    study.ask()  # proposed by the sampler
    assert ledger.unsampled().total() == 1

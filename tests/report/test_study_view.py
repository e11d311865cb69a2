"""A study with its tables."""

from ranksearch.report.study_view import StudyView


def test_tables_are_made_once(view: StudyView) -> None:
    assert view.trials is view.trials
    assert view.front is view.front
    assert view.baselines is view.baselines


def test_the_front_is_from_large_to_small(view: StudyView) -> None:
    assert view.front["compression_ratio"].is_monotonic_increasing
    assert view.front["accuracy"].is_monotonic_decreasing
    assert (view.front["failure"] == "").all()


def test_baselines_are_named_and_failed_ones_left_out(view: StudyView) -> None:
    assert view.baselines.groupby("baseline").size().to_dict() == {"energy": 4, "evbmf": 1, "uniform": 4}


def test_a_study_without_trials_has_empty_tables(odd_views: dict[str, StudyView]) -> None:
    empty = odd_views["empty"]
    assert empty.trials.empty
    assert empty.front.empty
    assert empty.baselines.empty
    assert empty.finalists.empty
    assert empty.rooms == {"search": (), "baselines": (), "confirmations": (), "finalists": ()}

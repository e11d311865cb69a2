"""What the page tells of a picked point, as data."""

import msgspec
import pytest

from ranksearch.layers import Dense, full_ranks, layer_macs, layer_params
from ranksearch.layers.configuration import as_tuple
from ranksearch.records import StudyHistory
from ranksearch.report.point_panel import StudyPanels, study_panels
from ranksearch.report.study_view import StudyView
from ranksearch.report.wording import count, large


@pytest.fixture(scope="module")
def panels(view: StudyView) -> StudyPanels:
    return study_panels(view, "studies/my study.toml")


def test_every_point_of_the_picture_has_a_panel(view: StudyView, panels: StudyPanels) -> None:
    works = [t.number for t in view.history.ended() if t.record and not t.record.failure]
    expected = {f"trials/{n}" for n in works} | {f"baselines/{n}" for n in range(9)}
    assert set(panels.points) == expected | {f"closed_form/{n}" for n in range(8)}
    assert panels.along == tuple(f"trials/{n}" for n in view.front["number"])


def test_ranks_and_costs_are_those_of_the_trial(view: StudyView, panels: StudyPanels) -> None:
    trial = next(t for t in view.history.trials if t.number == view.front["number"].iloc[3])
    assert trial.record
    point = panels.points[f"trials/{trial.number}"]
    for spec, layer, place in zip(view.study.network.layers, panels.layers, point.costs, strict=True):
        ranks, cost = trial.record.configuration[spec.name], layer.costs[place]
        assert (layer.name, layer.full) == (spec.name, full_ranks(spec))
        assert (layer.params, layer.macs) == (count(spec.params), large(spec.macs))
        assert cost.ranks == as_tuple(ranks)
        assert cost.params == count(layer_params(spec, ranks, "pivoted"))
        assert cost.macs == large(layer_macs(spec, ranks, "pivoted"))
        assert cost.reason == (ranks.reason if isinstance(ranks, Dense) else "")


def test_a_layer_with_the_same_ranks_is_kept_once(panels: StudyPanels) -> None:
    for place, layer in enumerate(panels.layers):
        assert len(set(layer.costs)) == len(layer.costs)
        assert {point.costs[place] for point in panels.points.values()} == set(range(len(layer.costs)))


def test_facts_tell_both_counts_and_the_distance_to_dense(view: StudyView, panels: StudyPanels) -> None:
    row = view.front.iloc[2]
    facts = {fact.label: (fact.value, fact.remark) for fact in panels.points[f"trials/{row['number']}"].facts}
    assert facts["accuracy"][0] == f"{100 * row['accuracy']:.2f}\xa0%"
    assert facts["accuracy"][1].endswith(" to dense")
    assert facts["pivoted ratio"] == (f"{row['compression_ratio_pivoted']:.2f}×", f"{row['params']:,} parameters")
    assert facts["plain ratio"][0] == f"{row['compression_ratio_plain']:.2f}×"
    assert facts["MAC ratio"][0] == f"{row['mac_ratio']:.2f}×"


def test_lambda_and_milestones_are_those_of_the_trial(view: StudyView, panels: StudyPanels) -> None:
    for trial in view.history.finished():
        if trial.record is None or trial.record.failure:
            continue
        point, schedule = panels.points[f"trials/{trial.number}"], trial.record.schedule
        assert point.curve is not None
        curve = panels.curves[point.curve]
        if schedule.order == "together":
            assert curve == tuple(round(schedule.decay(i / 50), 3) for i in range(51))
        assert curve[-1] == 0
        assert [look[0] for look in point.looks] == ["25\xa0%", "50\xa0%", "75\xa0%", "100\xa0%"]
        assert point.looks[-1][3] == f"{100 * trial.record.measured.accuracy:.1f}\xa0%"


def test_the_command_is_whole_and_quoted(view: StudyView, panels: StudyPanels) -> None:
    number = view.front["number"].iloc[0]
    said = panels.export(panels.points[f"trials/{number}"].select)
    assert said == f"ranksearch export 'studies/my study.toml' --select trial={number} -o ranks.json"


def test_what_cannot_be_exported_has_no_command(history: StudyHistory, panels: StudyPanels) -> None:
    assert {p.select for key, p in panels.points.items() if not key.startswith("trials/")} == {""}
    first = history.trials[0]
    assert first.record
    record = msgspec.structs.replace(first.record, stopped="by the rule 'neighbours'")
    cut = msgspec.structs.replace(first, state="stopped", record=record)
    stopped = StudyView(msgspec.structs.replace(history, trials=(cut, *history.trials[1:])))
    point = study_panels(stopped, "x.toml").points[f"trials/{first.number}"]
    assert point.select == ""
    assert "stopped by the rule 'neighbours'" in point.remark
    assert len(point.looks) == len(record.milestones)


@pytest.mark.parametrize("case", ["empty", "bare", "failures only", "one point"])
def test_odd_studies_have_what_there_is(odd_views: dict[str, StudyView], case: str) -> None:
    found = study_panels(odd_views[case], "x.toml")
    assert sum(key.startswith("trials/") for key in found.points) == (case == "one point")
    assert len(found.along) == (case == "one point")

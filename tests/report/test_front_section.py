"""The sections on the front."""

import msgspec

from ranksearch.records import LatencyComparison, StudyHistory
from ranksearch.records.latency import Latency
from ranksearch.report.blocks import Chart, Explorer, Text
from ranksearch.report.front_data import front_data
from ranksearch.report.front_section import front_section, front_table, networks_section
from ranksearch.report.point_panel import study_panels
from ranksearch.report.study_view import StudyView


def test_the_table_has_both_counts_and_the_command(view: StudyView) -> None:
    table = front_table(view, "studies/my study.toml")
    assert len(table.rows) == len(view.front)
    row, cells = view.front.iloc[0], dict(zip((c.title for c in table.columns), table.rows[0], strict=True))
    assert cells["trial"] == str(row["number"])
    assert cells["ratio, pivoted"] == f"{row['compression_ratio_pivoted']:.2f}×"
    assert cells["ratio, plain"] == f"{row['compression_ratio_plain']:.2f}×"
    assert cells["MACs"] == f"{row['mac_ratio']:.2f}×"
    assert cells["parameters"] == f"{row['params']:,}"
    command = f"ranksearch export 'studies/my study.toml' --select trial={row['number']} -o ranks.json"
    assert cells["export"] == command
    assert table.points[0] == f"0/trials/{row['number']}"


def test_where_latency_was_measured_it_is_told(history: StudyHistory) -> None:
    fast, slow = (Latency(batch=1, median=m, lower=m, upper=m) for m in (0.002, 0.005))
    timed = tuple(
        msgspec.structs.replace(t, record=msgspec.structs.replace(t.record, latency=LatencyComparison(fast, slow, 1)))
        for t in history.trials
        if t.record
    )
    view = StudyView(msgspec.structs.replace(history, trials=timed))
    table = front_table(view, "s.toml")
    place = [column.title for column in table.columns].index("latency ratio")
    assert {row[place] for row in table.rows} == {"2.50×"}
    point = study_panels(view, "s.toml").points[f"trials/{view.front['number'].iloc[0]}"]
    (fact,) = [fact for fact in point.facts if fact.label == "latency ratio"]
    assert (fact.value, fact.remark) == ("2.50×", "2 ms, dense 5 ms")
    assert "2.50× as fast as dense" in front_data(view).front[0].hover


def test_a_study_of_a_notebook_is_exported_from_there(view: StudyView) -> None:
    table = networks_section([view], {}).blocks[0]
    number = view.front["number"].iloc[0]
    assert table.rows[0][-1] == f'study.export("ranks.json", select="trial={number}")'  # type: ignore[union-attr]


def test_a_study_without_a_front_has_no_table(odd_views: dict[str, StudyView]) -> None:
    assert networks_section([odd_views["empty"]], {}).blocks == ()


def test_the_caption_tells_split_count_and_what_is_outside(view: StudyView, odd_views: dict[str, StudyView]) -> None:
    explorer = front_section([view], {}).blocks[0]
    assert isinstance(explorer, Explorer)
    chart = explorer.chart
    assert "search split (5,000 images), parameters by the pivoted count" in chart.caption
    assert "4 networks below the picture" in chart.caption
    assert "test split" in chart.caption
    assert "diamonds: published" in chart.caption
    assert [choice.label for choice in chart.choices] == ["pivoted", "plain", "MACs"]
    bare = front_section([odd_views["bare"]], {}).blocks[0]
    assert isinstance(bare, Chart)
    assert "below" not in bare.caption
    assert "test split" not in bare.caption


def test_studies_that_differ_say_in_what(history: StudyHistory, other_history: StudyHistory) -> None:
    replace = msgspec.structs.replace
    same = front_section([StudyView(history), StudyView(other_history)], {})
    assert not [block for block in same.blocks if isinstance(block, Text)]
    prints = other_history.study.fingerprint | {"method": "other"}
    study = replace(other_history.study, fingerprint=prints, ratio=(1.5, 16.0))
    views = [StudyView(history), StudyView(replace(other_history, study=study))]
    texts = [b.text for b in front_section(views, {}).blocks if isinstance(b, Text)]
    assert len(texts) == 2
    assert "differ in: method" in texts[0]
    assert "different boxes" in texts[1]

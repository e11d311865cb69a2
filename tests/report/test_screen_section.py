"""The section on the cheap stages."""

import msgspec
import pytest

from ranksearch.front import StageComparison
from ranksearch.records import ElasticRecord, Measurement, Recipe, ScreenedCandidate, StudyHistory, Trial
from ranksearch.report.blocks import Chart, Table, Text
from ranksearch.report.packing import unpack
from ranksearch.report.page import packed_chart
from ranksearch.report.palette import dark_colours
from ranksearch.report.screen_section import compared, screen_section
from ranksearch.report.study_view import StudyView
from ranksearch.report.volume_figure import volume_data


@pytest.fixture(scope="module")
def screened(history: StudyHistory) -> StudyHistory:
    """The study with a screen of two stages, and with what these said of each trial."""
    replace = msgspec.structs.replace
    trials = []
    for t in history.trials:
        record = t.record
        if record:
            said = {"untrained": Measurement(0.5, 1 / record.counted.compression_ratio, "search", 1000)}
            record = replace(record, stages=said, origin="screen" if t.number % 2 else "sampler")
        trials.append(replace(t, record=record))
    configuration = next(t.record for t in history.trials if t.record).configuration
    screen = tuple(
        ScreenedCandidate(
            number=i, stage="elastic" if i % 3 else "untrained", values={"log2_ratio": 1.0},
            configuration=configuration, compression_ratio=1.5 + i / 8, accuracy=0.5,
            distance=None if i == 5 else 0.1 * i, seconds=0.5,
        )
        for i in range(45)
    )  # fmt: skip
    return replace(history, trials=tuple(trials), screen=screen)


def test_it_shows_what_was_screened_and_how_well_it_ranks(screened: StudyHistory) -> None:
    text, chart, table, _ = screen_section([StudyView(screened)]).blocks
    assert isinstance(text, Text)
    assert text.text.startswith("15 candidates untrained in 7.5 s (2.0 per second); 30 candidates elastic in 15 s")
    assert isinstance(chart, Chart)
    assert {len(trace.x) for trace in chart.figure.data[:2]} == {15, 29}  # one was not finite
    assert [trace.name for trace in chart.figure.data] == ["screened, untrained", "screened, elastic", "trained"]
    assert isinstance(table, Table)
    assert [row[:3] for row in table.rows] == [
        ("untrained", "distance", "all"),
        ("untrained", "distance", "bypassed the screen"),
        ("untrained", "accuracy", "all"),
        ("untrained", "accuracy", "bypassed the screen"),
    ]
    assert "…" in table.rows[0][4]


def test_its_colours_have_dark_counterparts(screened: StudyHistory) -> None:
    chart = screen_section([StudyView(screened)]).blocks[1]
    assert isinstance(chart, Chart)
    used = {trace.marker.color for trace in chart.figure.data}
    assert used <= set(dark_colours())
    assert "NaN" not in unpack(packed_chart(chart))


def test_few_trials_are_too_few(screened: StudyHistory) -> None:
    few = msgspec.structs.replace(screened, trials=screened.trials[:6], screen=())
    table, _ = screen_section([StudyView(few)]).blocks
    assert isinstance(table, Table)
    assert {row[4] for row in table.rows} == {"too few"}


def test_a_study_without_a_screen_has_no_such_section(view: StudyView, odd_views: dict[str, StudyView]) -> None:
    assert screen_section([view, *odd_views.values()]).blocks == ()


def test_studies_are_told_apart(screened: StudyHistory, view: StudyView) -> None:
    both = screen_section([StudyView(screened), view, StudyView(screened)]).blocks
    charts = [block.name for block in both if isinstance(block, Chart)]
    assert charts == ["screen-0", "screen-2"]


def test_the_shared_training_is_told_with_its_cost_and_counts_before_the_trials(screened: StudyHistory) -> None:
    elastic = ElasticRecord(recipe=Recipe(images=128_000), slices=2, images=256_000, seconds=90.0)
    view = StudyView(msgspec.structs.replace(screened, elastic=elastic))
    text = screen_section([view]).blocks[0]
    assert isinstance(text, Text)
    assert text.text.startswith("Elastic adapter: 1,000 steps of 2 slices in 90 s, 256,000 images, ")
    assert volume_data(view).seconds[1] == pytest.approx(90 + 45 * 0.5 + view.trials["seconds"].iloc[0])


def test_why_there_is_no_shared_training_is_told(screened: StudyHistory) -> None:
    text = screen_section(
        [StudyView(msgspec.structs.replace(screened, elastic=ElasticRecord(off="too short")))]
    ).blocks[0]
    assert text == Text("Elastic adapter: off, too short; trials start from the decomposition.")


@pytest.mark.parametrize(
    ("n", "low", "high", "end"),
    [
        (30, 0.1, 0.3, ": the last stage is rightly the last."),
        (30, -0.3, -0.1, 'worse here: screen.stages = ["elastic", "untrained"] is better.'),
        (30, -0.1, 0.3, ": neither is shown to rank better."),
        (29, 0.1, 0.3, ": fewer than 30 decide nothing."),
    ],
)
def test_the_order_of_stages_is_judged(n: int, low: float, high: float, end: str) -> None:
    told = compared(StageComparison("untrained", "elastic", n, 0.2, low, high))
    assert told.endswith(end)
    assert f"({low:.2f} … {high:.2f}) by a paired bootstrap over {n} trained networks".replace("-", "−") in told


def test_two_stages_are_compared_in_the_report(screened: StudyHistory) -> None:
    def both(trial: Trial) -> Trial:
        assert trial.record
        stages = dict(trial.record.stages) | {"elastic": Measurement(0.5, 0.1 * (trial.number % 7), "search", 100)}
        return msgspec.structs.replace(trial, record=msgspec.structs.replace(trial.record, stages=stages))

    twice = msgspec.structs.replace(screened, trials=tuple(both(t) if t.record else t for t in screened.trials))
    last = screen_section([StudyView(twice)]).blocks[-1]
    assert isinstance(last, Text)
    assert last.text.startswith("At equal size, ρ of the elastic distance less ρ of the untrained one: ")

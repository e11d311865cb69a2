"""The section on confirmation."""

import msgspec
import pytest

from ranksearch.records import StudyHistory, Trial
from ranksearch.report.blocks import Table, Text
from ranksearch.report.confirmed_section import confirmed_section
from ranksearch.report.study_view import StudyView


def again(trial: Trial, seed: int, loss: float) -> Trial:
    assert trial.record
    measured = msgspec.structs.replace(trial.record.measured, accuracy=trial.record.measured.accuracy - loss)
    return msgspec.structs.replace(trial, record=msgspec.structs.replace(trial.record, seed=seed, measured=measured))


@pytest.fixture
def confirmed(history: StudyHistory) -> StudyView:
    """The first network of the front trained twice more, at 0.4 and 0.6 points less; the others never."""
    rows = {t.number: t for t in history.front()}
    first = rows[StudyView(history).front["number"].iloc[0]]
    return StudyView(msgspec.structs.replace(history, confirmations=(again(first, 1, 0.004), again(first, 2, 0.006))))


def test_selected_and_confirmed_stand_side_by_side(confirmed: StudyView) -> None:
    sentence, table = confirmed_section([confirmed]).blocks
    assert isinstance(sentence, Text)
    assert isinstance(table, Table)
    assert "further seeds is 0.5 points, averaged over 1 network; 1 of them" in sentence.text.replace("+", "")
    assert "These 2 trainings took" in sentence.text
    assert "saw 128,000 images" in sentence.text
    first, *others = (dict(zip((c.title for c in table.columns), row, strict=True)) for row in table.rows)
    selected = confirmed.front["accuracy"].iloc[0]
    assert first["selected"] == f"{100 * selected:.2f}\xa0%"
    assert first["confirmed"] == f"{100 * selected - 0.5:.2f} ± 0.14\xa0%"
    assert (first["seeds"], first["still on the front"]) == ("2", "yes")
    assert {(row["seeds"], row["confirmed"], row["still on the front"]) for row in others} == {("0", "–", "–")}


def test_without_confirmations_there_is_no_section(view: StudyView) -> None:
    assert confirmed_section([view]).blocks == ()


def test_a_front_that_moved_on_has_no_mean_yet(confirmed: StudyView) -> None:
    number = confirmed.front["number"].iloc[0]
    rest = tuple(t for t in confirmed.history.trials if t.number != number)
    sentence, _ = confirmed_section([StudyView(msgspec.structs.replace(confirmed.history, trials=rest))]).blocks
    assert isinstance(sentence, Text)
    assert sentence.text.startswith("No network that is on the front now has a measurement with a further seed.")

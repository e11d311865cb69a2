"""Numbers in words."""

import html
import math

from hypothesis import given
from hypothesis import strategies as st

from ranksearch.records import DecaySchedule
from ranksearch.report.wording import duration, percent, plotly_text, plural, points, schedule_of, some, times


@given(st.text())
def test_plotly_text_hides_no_markup_and_loses_nothing(text: str) -> None:
    shown = plotly_text(text)
    assert "<" not in shown
    assert ">" not in shown
    assert html.unescape(shown.replace("&amp;", "&\0")).replace("&\0", "&") == text.replace("&\0", "&")


@given(st.floats(-1, 1))
def test_points_have_a_sign_unless_they_are_zero(difference: float) -> None:
    written = points(difference)
    if abs(difference) > 0.0005:
        assert written[0] == ("+" if difference > 0 else "−")
    assert written not in ("+0.0", "−0.0")
    assert abs(float(written.replace("−", "-")) - 100 * difference) <= 0.0500001


@given(st.floats(0.01, 1e4))
def test_ratios_keep_three_figures(ratio: float) -> None:
    assert math.isclose(float(times(ratio).removesuffix("×")), ratio, rel_tol=0.006, abs_tol=0.00501)


@given(st.floats(0, 1e6))
def test_durations_name_their_units(seconds: float) -> None:
    words = duration(seconds).replace(",", "").split()
    units = {"s": 1, "min": 60, "h": 3600}
    total = sum(float(n) * units[unit] for n, unit in zip(words[::2], words[1::2], strict=True))
    assert abs(total - seconds) <= max(0.05, 0.5 * (seconds >= 9.95), 30 * (seconds >= 599.5)) + 1e-6


def test_what_is_not_known_is_a_dash() -> None:
    assert percent(math.nan) == points(math.nan) == "–"


def test_lists_are_cut_short() -> None:
    assert some(range(3), most=3) == "0, 1, 2"
    assert some(range(4), most=3) == "0, 1, 2 …"
    assert plural(0, "trial") == "0 trials"
    assert plural(2000, "trial") == "2,000 trials"


def test_a_schedule_comes_back_from_a_table_row() -> None:
    schedule = DecaySchedule(shape="linear", fade="full", end=0.3, order="front-to-back")
    row = {f"schedule/{key}": getattr(schedule, key) for key in DecaySchedule.__struct_fields__}
    assert schedule_of(row) == schedule

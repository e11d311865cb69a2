"""How numbers, schedules and lists are written, the same in figures, tables and sentences."""

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from ..records import DecaySchedule

#: Plotly reads a few HTML tags and entities in its texts, and %{…} in its templates (unused here).
_PLOTLY = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;"})

MISSING = "–"


def percent(fraction: float, digits: int = 1) -> str:
    r"""
    >>> percent(0.97123), percent(float("nan"))
    ('97.1\xa0%', '–')
    """
    return MISSING if math.isnan(fraction) else f"{100 * fraction:.{digits}f}\xa0%"


def points(difference: float) -> str:
    """A difference of two accuracies, in percent points, with its sign.

    >>> points(-0.0274), points(0.0), points(-0.00001)
    ('−2.7', '0.0', '0.0')
    """
    if math.isnan(difference):
        return MISSING
    written = f"{100 * difference:+.1f}"
    return "0.0" if float(written) == 0 else written.replace("-", "−")


def times(ratio: float, digits: int | None = None) -> str:
    """A ratio to three figures, or to ``digits`` decimals.

    >>> times(4.0231), times(11.52), times(104.2), times(1), times(7.94, 1)
    ('4.02×', '11.5×', '104×', '1.00×', '7.9×')
    """
    if digits is None:
        digits = 2 if ratio < 10 else 1 if ratio < 100 else 0
    return f"{ratio:.{digits}f}×"


def count(number: float) -> str:
    """
    >>> count(269722)
    '269,722'
    """
    return f"{round(number):,}"


def large(number: float) -> str:
    r"""A large number to three figures.

    >>> large(40_560_000), large(640), large(2.36e6), large(4_096)
    ('40.6\xa0M', '640', '2.36\xa0M', '4.10\xa0k')
    """
    for unit, size in (("G", 1e9), ("M", 1e6), ("k", 1e3)):
        if number >= size:
            return f"{times(number / size)[:-1]}\xa0{unit}"
    return f"{number:.0f}"


def duration(seconds: float) -> str:
    """
    >>> duration(8.43), duration(142), duration(7_260)
    ('8.4 s', '142 s', '2 h 1 min')
    """
    if seconds < 10:
        return f"{seconds:.1f} s"
    if seconds < 600:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 120 else f"{minutes // 60:,} h {minutes % 60} min"


def plural(number: int, word: str) -> str:
    """
    >>> plural(1, "trial"), plural(3, "trial")
    ('1 trial', '3 trials')
    """
    return f"{number:,} {word}" + ("" if number == 1 else "s")


def schedule_of(row: Mapping[Any, Any]) -> DecaySchedule:
    """The decay schedule of a row of a trial table."""
    return DecaySchedule(**{field: row[f"schedule/{field}"] for field in DecaySchedule.__struct_fields__})


def schedule_words(schedule: DecaySchedule) -> str:
    r"""
    >>> schedule_words(DecaySchedule(shape="linear", end=0.4)), schedule_words(DecaySchedule(shape="none"))
    ('linear to 40\xa0%, residual fade', 'none: truncate at once')
    """
    if schedule.shape == "none":
        return "none: truncate at once"
    order = "" if schedule.order == "together" else f", {schedule.order}"
    return f"{schedule.shape} to {percent(schedule.end, 0)}, {schedule.fade} fade{order}"


def some(items: Iterable[object], most: int = 12) -> str:
    """
    >>> some([3, 9, 12], most=2)
    '3, 9 …'
    """
    words = [str(item) for item in items]
    return ", ".join(words[:most]) + (" …" if len(words) > most else "")


def sentence(clauses: Sequence[str]) -> str:
    """Clauses joined to one sentence.

    >>> sentence(["two trials", "none finished"])
    'Two trials; none finished.'
    """
    text = "; ".join(clause for clause in clauses if clause)
    return text[:1].upper() + text[1:] + "."


def plotly_text(text: str) -> str:
    """``text`` so that Plotly shows it as it stands, whatever it holds.

    >>> plotly_text("<b>R&D</b>")
    '&lt;b&gt;R&amp;D&lt;/b&gt;'
    """
    return text.translate(_PLOTLY)

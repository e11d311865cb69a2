"""Colours: each light one has a dark counterpart, and both can be told from their page."""

import itertools

import pytest

from ranksearch.report.palette import (
    BASELINES,
    OTHER_BASELINE,
    RAMP,
    ROLES,
    STUDIES,
    baseline_style,
    dark_colours,
    study_colour,
    style_sheet,
)

BASELINE_PAIRS = [pair for pair, _ in (*BASELINES.values(), OTHER_BASELINE)]


def luminance(colour: str) -> float:
    """Relative luminance of ``#rrggbb`` (WCAG 2)."""
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    red, green, blue = (p / 12.92 if p <= 0.03928 else ((p + 0.055) / 1.055) ** 2.4 for p in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(a: str, b: str) -> float:
    high, low = sorted((luminance(a), luminance(b)), reverse=True)
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("page", [0, 1], ids=["light", "dark"])
def test_text_and_marks_stand_out_from_the_page(page: int) -> None:
    paper = ROLES["paper"][page]
    assert contrast(ROLES["ink"][page], paper) > 12
    assert contrast(ROLES["muted"][page], paper) > 4.5
    for pair in (*STUDIES, *BASELINE_PAIRS):
        assert contrast(pair[page], paper) > 3, pair


def test_no_two_roles_share_a_light_colour() -> None:
    pairs = [*ROLES.values(), *STUDIES, *BASELINE_PAIRS, *RAMP]
    assert len(dark_colours()) == len(pairs)
    assert dark_colours() == dict(pairs)


def test_the_ramp_is_ordered_by_lightness_on_both_pages() -> None:
    light, dark = ([luminance(pair[page]) for pair in RAMP] for page in (0, 1))
    assert all(a > b for a, b in itertools.pairwise(light))
    assert all(a < b for a, b in itertools.pairwise(dark))


def test_every_baseline_has_its_own_colour_and_marker() -> None:
    styles = [baseline_style(name) for name in (*BASELINES, "something else")]
    assert len({colour for colour, _ in styles}) == len({marker for _, marker in styles}) == len(styles)


def test_study_colours_repeat() -> None:
    assert study_colour(0) == study_colour(len(STUDIES)) != study_colour(1)


def test_the_style_sheet_names_every_role_in_both_schemes() -> None:
    sheet = style_sheet()
    for name, (day, night) in ROLES.items():
        assert f"--{name}:{day};" in sheet
        assert f"--{name}:{night};" in sheet
    assert sheet.index("@media screen and (prefers-color-scheme: dark)") < sheet.index(ROLES["paper"][1])

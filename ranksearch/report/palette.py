"""The report's colours: every role once for a light and once for a dark page.

Series colours follow Okabe & Ito (2008), told apart under the common colour-vision deficiencies, darkened or
lightened until they stand out from the page. Figures are drawn in the light colours; the page exchanges each
for its dark counterpart where the reader's system asks for it.
"""

from collections.abc import Mapping

#: role → (light, dark)
ROLES: dict[str, tuple[str, str]] = {
    "paper": ("#ffffff", "#11151a"),
    "panel": ("#f5f7f9", "#191f26"),
    "rule": ("#e3e8ec", "#2a323b"),
    "faint": ("#a3aeb8", "#63707d"),
    "muted": ("#586470", "#9facb8"),
    "ink": ("#182028", "#e7ecf1"),
}

#: one colour per study of the page, the first where there is only one
STUDIES: tuple[tuple[str, str], ...] = (
    ("#0067a8", "#56b4f0"),
    ("#c04f00", "#f0883e"),
    ("#9a4586", "#dd93c8"),
    ("#007a56", "#2fc79a"),
    ("#7a6400", "#e3c440"),
)

#: baseline → (light, dark) and Plotly's name of its marker; others take :data:`OTHER_BASELINE`
BASELINES: dict[str, tuple[tuple[str, str], str]] = {
    "uniform": (("#bd5200", "#ee8a44"), "square"),
    "energy": (("#04785a", "#35c39b"), "triangle-up"),
    "evbmf": (("#96477f", "#d98fc5"), "diamond"),
}
OTHER_BASELINE: tuple[tuple[str, str], str] = (("#756000", "#dcbf46"), "pentagon")

#: a sequence from little to much, for heat maps
RAMP: tuple[tuple[str, str], ...] = (
    ("#eef4f9", "#18212b"),
    ("#bcd7ea", "#173f5f"),
    ("#6fabd3", "#20699c"),
    ("#1f77b4", "#4ba3dc"),
    ("#0a3f6b", "#bfe2fb"),
)

FONT = 'Inter, system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", Arial, sans-serif'


def light(role: str) -> str:
    """The colour of ``role`` on a light page."""
    return ROLES[role][0]


def study_colour(place: int) -> str:
    """The light colour of the page's study number ``place``, from 0; they repeat."""
    return STUDIES[place % len(STUDIES)][0]


def baseline_style(name: str) -> tuple[str, str]:
    """The light colour and the marker of a baseline."""
    pair, marker = BASELINES.get(name, OTHER_BASELINE)
    return pair[0], marker


def dark_colours() -> dict[str, str]:
    """The dark counterpart of every light colour."""
    baselines = [pair for pair, _ in (*BASELINES.values(), OTHER_BASELINE)]
    return dict([*ROLES.values(), *STUDIES, *baselines, *RAMP])


def style_sheet() -> str:
    """The roles as CSS variables, following the reader's system; paper prints light."""

    def block(variables: Mapping[str, str]) -> str:
        return ":root{" + "".join(f"--{name}:{value};" for name, value in variables.items()) + "}"

    named = ROLES | {f"study-{place}": pair for place, pair in enumerate(STUDIES)}
    day, night = ({name: pair[i] for name, pair in named.items()} for i in (0, 1))
    return f"{block(day | {'font': FONT})}\n@media screen and (prefers-color-scheme: dark){{{block(night)}}}\n"

"""The page in a real browser, from the file."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ranksearch.records import StudyHistory
from ranksearch.report import write_report
from ranksearch.report.palette import ROLES
from ranksearch.report.study_view import StudyView

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
ARGUMENTS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    missing = "" if CHROMIUM else "no Chromium on the path"
    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        missing = "playwright is not installed"
    if missing:
        (pytest.fail if os.environ.get("CI") else pytest.skip)(missing)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        yield browser
        browser.close()


class Opened:
    """A page with what it logged and asked for while it was open."""

    def __init__(self, browser: Any, path: Path, width: int, scheme: str) -> None:
        self.errors: list[str] = []
        self.requests: list[str] = []
        self.page = browser.new_page(viewport={"width": width, "height": 900}, color_scheme=scheme)
        self.page.on("console", lambda m: self.errors.append(m.text) if m.type in ("error", "warning") else None)
        self.page.on("pageerror", lambda error: self.errors.append(str(error)))
        self.page.on("request", lambda request: self.requests.append(request.url))
        self.page.goto(path.as_uri())
        self.page.wait_for_selector("html[data-drawn]")

    def check(self, path: Path) -> None:
        assert self.errors == []
        asked = [url for url in self.requests if not url.startswith(("data:", "blob:"))]
        assert asked == [path.as_uri()]
        wide = self.page.evaluate("document.documentElement.scrollWidth - innerWidth")
        assert wide <= 0, "the page scrolls sideways"


@pytest.fixture(scope="module")
def report(history: StudyHistory, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_report([history], tmp_path_factory.mktemp("browser") / "report.html")


@pytest.mark.parametrize(("width", "scheme"), [(1440, "light"), (390, "dark")])
def test_the_front_is_drawn(browser: Any, report: Path, view: StudyView, width: int, scheme: str) -> None:
    opened = Opened(browser, report, width, scheme)
    page = opened.page
    drawn = "document.getElementById('chart-front').data.find(t => t.name === 'front').x"
    assert page.evaluate(drawn) == pytest.approx(list(view.front["compression_ratio"]))
    points = page.evaluate(
        """() => [...document.querySelectorAll('#chart-front .scatterlayer .trace')]
                 .filter(t => t.querySelector('.js-line')).at(-1).querySelectorAll('path.point').length"""
    )
    assert points == len(view.front)
    paper = page.evaluate("document.getElementById('chart-front').layout.paper_bgcolor")
    assert paper == ROLES["paper"][scheme == "dark"]
    opened.check(report)
    page.close()


def test_hovering_a_point_tells_its_trial(browser: Any, report: Path, view: StudyView) -> None:
    opened = Opened(browser, report, 1440, "light")
    line = opened.page.locator("#chart-front .scatterlayer .trace", has=opened.page.locator(".js-line")).last
    box = line.locator("path.point").nth(5).bounding_box()
    opened.page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    label = opened.page.wait_for_selector("#chart-front .hoverlayer .hovertext").text_content()
    assert f"trial {view.front['number'].iloc[5]}" in label
    opened.page.close()


def test_the_axis_of_hypervolume_is_chosen_and_survives_the_night(browser: Any, report: Path) -> None:
    opened = Opened(browser, report, 1440, "light")
    page = opened.page
    state = """(() => {
        const layout = document.getElementById('chart-hypervolume').layout;
        return [layout.xaxis.title.text, layout.font.color];
    })()"""
    assert page.evaluate(state) == ["finished trials", ROLES["ink"][0]]
    page.get_by_text("minutes", exact=True).click()
    assert page.evaluate(state) == ["minutes of all trials and the stages before them together", ROLES["ink"][0]]
    page.emulate_media(color_scheme="dark")
    page.wait_for_function(f"document.getElementById('chart-hypervolume').layout.font.color === '{ROLES['ink'][1]}'")
    assert page.evaluate(state) == ["minutes of all trials and the stages before them together", ROLES["ink"][1]]
    opened.check(report)
    page.close()


def test_odd_and_hostile_studies_open(
    browser: Any, odd_histories: dict[str, StudyHistory], history: StudyHistory, tmp_path: Path
) -> None:
    together = [odd_histories["hostile"], history, odd_histories["failures only"]]
    for name, studies in {"empty": [odd_histories["empty"]], "together": together}.items():
        path = write_report(studies, tmp_path / f"{name}.html")
        opened = Opened(browser, path, 1024, "light")
        assert opened.page.evaluate("window.harmed") is None
        assert opened.page.locator("img").count() == 0
        opened.check(path)
        opened.page.close()

"""The dashboard in a real browser: the front by name, live, and nothing that a name would like to run."""

import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import msgspec
import pytest

from ranksearch.layers import RankConfiguration
from ranksearch.records import StudyHistory, TrialRecord

from ..report.test_page_in_browser import browser  # noqa: F401
from .served import Served, add
from .test_front_notes import better

HOSTILE = """</script><script>window.harmed=1</script><img src=x onerror="window.harmed=1">`|'"& [x](javascript:harm)"""


class Opened:
    """A page with what it logged and asked for while it was open."""

    def __init__(self, browser: Any, url: str) -> None:  # noqa: F811
        self.errors: list[str] = []
        self.requests: list[str] = []
        self.page = browser.new_page(viewport={"width": 1440, "height": 900})
        self.page.on("console", lambda m: self.errors.append(m.text) if m.type == "error" else None)
        self.page.on("pageerror", lambda error: self.errors.append(str(error)))
        self.page.on("request", lambda request: self.requests.append(request.url))
        self.page.goto(url)

    def wait_for(self, condition: str, seconds: float = 90) -> None:
        """Until it holds; the page's policy forbids Playwright's own waiting, which evaluates texts in the page."""
        from playwright.sync_api import Error

        until = time.monotonic() + seconds
        while True:
            with suppress(Error):  # the page is being loaded
                if self.page.evaluate(condition):
                    return
            assert time.monotonic() < until, f"not within {seconds} s: {condition}"
            self.page.wait_for_timeout(100)

    def check(self, url: str) -> None:
        assert self.errors == []
        assert [r for r in self.requests if not r.startswith((url, "data:", "blob:"))] == []
        self.page.close()


def test_the_page_follows_the_study_and_keeps_what_was_chosen(
    browser: Any, book: Callable[..., Any], serve: Callable[..., Served], measured: StudyHistory  # noqa: F811
) -> None:  # fmt: skip
    path, ledger = book()
    served = serve(path, "--host", "0.0.0.0")
    url = f"http://127.0.0.1:{served.port}/"
    token = served.url.partition("?")[2]
    opened = Opened(browser, f"{url}?{token}")
    page = opened.page
    page.wait_for_url(f"{url}ranksearch")
    page.wait_for_selector("html[data-drawn]")
    page.get_by_text("live ·").wait_for()
    trials = "document.getElementById('chart-front').data.find(t => t.name === 'front').x.length"
    assert page.evaluate(trials) == len(measured.front())
    page.locator("input[type=radio]:not(:checked)").first.check(force=True)
    chosen = "[...document.querySelectorAll('input:checked')].map(e => e.name + e.value)"
    before = page.evaluate(chosen)
    page.locator("a[data-point]").first.click()
    page.wait_for_timeout(1500)  # the link scrolls smoothly
    picked = "document.querySelector('.panel').dataset.point + document.querySelector('.panel .command').textContent"
    told = page.evaluate(picked)
    page.evaluate("scrollTo({top: 333, behavior: 'instant'})")

    record = measured.finished()[0].record
    assert record
    add(ledger, better(record))
    opened.wait_for(f"{trials} === 1")
    opened.wait_for("scrollY === 333")
    assert page.evaluate(chosen) == before
    assert page.evaluate(picked) == told  # another leads the front by now
    opened.check(url)
    served.end()


def hostile(history: StudyHistory) -> StudyHistory:
    """The same study, its first layer and every origin named to be run."""
    replace, first = msgspec.structs.replace, history.study.network.layers[0]

    def spoil(record: TrialRecord | None) -> TrialRecord:
        assert record
        layers = {HOSTILE if n == first.name else n: ranks for n, ranks in record.configuration.layers.items()}
        return replace(record, configuration=RankConfiguration(layers), origin=HOSTILE)

    network = history.study.network
    network = replace(network, layers=(replace(first, name=HOSTILE), *network.layers[1:]))
    trials = tuple(replace(trial, record=spoil(trial.record)) for trial in history.finished())
    return replace(history, study=replace(history.study, network=network), trials=trials)


@pytest.mark.parametrize("names", ["plain", "hostile"])
def test_optuna_dashboard_shows_the_named_front_and_its_ranks(
    names: str, browser: Any, book: Callable[..., tuple[Path, Any]], serve: Callable[..., Served],  # noqa: F811
    measured: StudyHistory,
) -> None:  # fmt: skip
    history = hostile(measured) if names == "hostile" else measured
    served = serve(book(history=history)[0])
    opened = Opened(browser, f"{served.url}ranksearch")
    page = opened.page
    page.wait_for_selector("html[data-drawn]")
    page.get_by_text("every trial in optuna-dashboard").click()
    page.get_by_text("1. bars", exact=True).click()
    page.wait_for_url("**/dashboard/studies/1")
    page.locator(".js-plotly-plot .point").first.wait_for()
    for metric in ("accuracy", "log2 compression_ratio"):  # the axes of the front
        page.get_by_role("combobox").filter(has_text=metric).first.wait_for()
    number = measured.front()[0].number
    page.goto(f"{served.url}dashboard/studies/1/trials?numbers={number}")
    page.get_by_text("On the front").first.wait_for()
    layers = history.study.network.layers
    shown = [" ".join(text.split()) for text in page.locator("td code").all_text_contents()]
    assert shown == [layer.name for layer in layers]
    assert page.locator("img[src=x]").count() == 0
    assert page.locator("a[href^=javascript]").count() == 0
    assert page.evaluate("window.harmed") is None
    opened.check(served.url)
    served.end()

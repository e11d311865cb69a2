"""A real server on a real small study: what is served, what is refused, how it ends."""

import json
import signal
import socket
import sys
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

import pytest
import sqlalchemy

from ranksearch.records import StudyHistory
from ranksearch.study import Ledger

from .served import Served


@pytest.fixture(params=["sqlite", "postgresql"])
def booked(request: pytest.FixtureRequest, book: Callable[..., Any]) -> Any:
    """A study file and its books, on each kind of storage."""
    return book("sqlite" if request.param == "sqlite" else request.getfixturevalue("postgresql"))


def test_it_shows_the_named_front_and_deletes_nothing(
    booked: Any, serve: Callable[..., Served], measured: StudyHistory
) -> None:
    path, ledger = booked
    served = serve(path)
    status, headers, _ = served.ask("GET", "/")
    assert (status, headers["Location"]) == (303, "/ranksearch")
    status, headers, page = served.ask("GET", "/ranksearch")
    assert status == 200
    assert "default-src 'none'" in headers["Content-Security-Policy"]
    assert "<h1>bars</h1>" in page
    assert served.read("/ranksearch/state")["state"] in page
    assert served.ask("GET", "/ranksearch", If_None_Match=headers["ETag"])[0] == 304
    assert served.ask("GET", "/ranksearch/nothing")[0] == 404

    studies = {s["study_name"]: s["study_id"] for s in served.read("/api/studies")["study_summaries"]}
    study = served.read(f"/api/studies/{studies['bars']}")
    assert study["objective_names"] == ["accuracy", "log2 compression_ratio"]
    front = {trial["number"]: trial["note"]["body"] for trial in study["best_trials"]}
    assert set(front) == {trial.number for trial in measured.front()}
    assert all("On the front" in note for note in front.values())

    for method, where in [("DELETE", ""), ("POST", "/rename"), ("PUT", "/note")]:
        status, _, told = served.ask(method, f"/api/studies/{studies['bars']}{where}", "{}")
        assert status == 405
        assert "--allow-edit" in json.loads(told)["reason"]
    assert served.ask("GET", "/ranksearch", Host="evil.example")[0] == 403
    served.end()
    assert len(ledger.history().trials) == 3


def test_ctrl_c_ends_it(book: Callable[..., Any], serve: Callable[..., Served]) -> None:
    assert serve(book()[0]).end(signal.SIGINT) == ""


def test_edits_are_allowed_to_its_own_pages(book: Callable[..., Any], serve: Callable[..., Served]) -> None:
    path, ledger = book()
    served = serve(path, "--allow-edit")
    own = {"Origin": f"http://127.0.0.1:{served.port}", "Content_Type": "application/json"}
    note = json.dumps({"version": 1, "body": "mine"})
    assert served.ask("PUT", "/api/studies/1/note", note)[0] == 403
    assert served.read("/api/studies/1")["note"]["body"] == ""
    assert served.ask("PUT", "/api/studies/1/note", note, **own)[0] == 204
    assert served.read("/api/studies/1")["note"]["body"] == "mine"
    assert served.ask("POST", "/api/studies/1/rename", '{"study_name": "x"}', **own)[0] == 403
    assert Ledger(ledger.storage, "bars").exists
    assert served.ask("DELETE", "/api/studies/1", "{}", **own)[0] == 204
    assert not Ledger(ledger.storage, "bars").exists
    served.end()


def test_elsewhere_than_on_loopback_a_token_is_asked_for(
    book: Callable[..., Any], serve: Callable[..., Served]
) -> None:
    served = serve(book()[0], "--host", "0.0.0.0")
    query = urlsplit(served.url).query
    assert len(query) > 40
    for path in ("/", "/ranksearch", "/ranksearch/state", "/api/studies", "/static/bundle.js", "/?token=guess"):
        assert served.ask("GET", path)[0] == 401
    status, headers, page = served.ask("GET", f"/?{query}")
    assert status == 200
    assert "bars" not in page
    cookie = headers["Set-Cookie"].partition(";")[0]
    assert served.ask("GET", "/api/studies", Cookie=cookie)[0] == 200
    assert served.ask("DELETE", "/api/studies/1", Cookie=cookie)[0] == 405
    assert "plain HTTP" in served.end()


def test_a_token_of_ones_own(
    book: Callable[..., Any], serve: Callable[..., Served], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RANKSEARCH_TOKEN", "a token; of one's own")
    served = serve(book()[0])
    assert served.ask("GET", "/ranksearch")[0] == 401
    assert served.ask("GET", "/?token=a+token%3B+of+one%27s+own")[0] == 200
    served.end()


def test_a_database_that_takes_no_notes(
    book: Callable[..., Any], serve: Callable[..., Served], postgresql_database: Any
) -> None:
    """A user who may only read: it is said once, and all is shown but the rank tables."""
    url = sqlalchemy.make_url(postgresql_database.url)
    path, _ = book(url.render_as_string(hide_password=False))
    reader = f"reader_{postgresql_database.name}"
    with sqlalchemy.create_engine(url).begin() as connection:
        connection.execute(sqlalchemy.text(f"CREATE ROLE {reader} LOGIN"))
        connection.execute(sqlalchemy.text(f"GRANT SELECT ON ALL TABLES IN SCHEMA public TO {reader}"))
    served = serve(path, "--storage", url.set(username=reader).render_as_string(hide_password=False))
    assert "the database takes no notes (InsufficientPrivilege: permission denied" in served.before
    assert served.ask("GET", "/ranksearch")[0] == 200
    assert served.read("/api/studies/1")["best_trials"][0]["note"]["body"] == ""
    served.end()


def test_what_cannot_be_served(
    book: Callable[..., Any], write: Callable[..., Any], ranksearch: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    left = ranksearch("dashboard", write(), "--port", 0)
    assert left.code == 2
    assert "no such study yet; `ranksearch search` makes it" in left.err

    path, _ = book()
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        left = ranksearch("dashboard", path, "--port", port)
    assert left.code == 2
    assert f"--host 127.0.0.1 --port {port}: something else listens there; --port 0 takes a free one" in left.err

    left = ranksearch("dashboard", path, "--token", "short")
    assert left.code == 2
    assert "--token has 5 characters and needs at least 16" in left.err

    left = ranksearch("dashboard", path, "--host", "no.such.host.invalid")
    assert left.code == 2
    assert "no.such.host.invalid" in left.err

    monkeypatch.setitem(sys.modules, "waitress", None)
    left = ranksearch("dashboard", path)
    assert left.code == 2
    assert 'waitress, which is not installed: pip install "ranksearch[dashboard]"' in left.err

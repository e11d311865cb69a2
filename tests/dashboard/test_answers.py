"""Answers are kept while the storage stays as it is, and made again after it changed, or an edit."""

import gzip
from typing import Any
from wsgiref.util import setup_testing_defaults

import pytest

from ranksearch.dashboard import answers
from ranksearch.dashboard.answers import KEPT, Answers


class Asking:
    """An application that counts how often it was asked, behind its answers."""

    def __init__(self) -> None:
        self.made, self.state, self.status = 0, "a", "200 OK"
        self.answers = Answers(self._application, lambda: self.state)

    def _application(self, environ: Any, start_response: Any) -> list[bytes]:
        self.made += 1
        start_response(self.status, [("Content-Type", "application/json")])
        return [b"answer ", str(self.made).encode()]

    def __call__(self, path: str = "/api/studies/1", method: str = "GET", **headers: str) -> tuple[str, dict, bytes]:
        environ: dict[str, Any] = {"REQUEST_METHOD": method, "PATH_INFO": path, **headers}
        setup_testing_defaults(environ)
        told: list[Any] = []
        body = b"".join(self.answers(environ, lambda status, headers, error=None: told.extend((status, headers))))
        return told[0], dict(told[1]), body


@pytest.fixture
def ask(monkeypatch: pytest.MonkeyPatch) -> Asking:
    monkeypatch.setattr(answers, "REST", 0)
    return Asking()


def test_an_answer_is_made_once_per_state(ask: Asking) -> None:
    assert [ask()[2] for _ in range(3)] == [b"answer 1"] * 3
    ask.state = "b"
    assert [ask()[2] for _ in range(2)] == [b"answer 2"] * 2
    assert ask(QUERY_STRING="after=3")[2] == b"answer 3"
    assert ask("/static/bundle.js")[2] == b"answer 4"
    assert ask("/static/bundle.js")[2] == b"answer 5"


def test_a_dear_answer_is_given_again_for_a_while(ask: Asking, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(answers, "REST", 1e9)
    ask()
    ask.state = "b"
    assert ask()[2] == b"answer 1"


def test_an_edit_makes_all_of_them_again(ask: Asking) -> None:
    ask()
    ask(method="PUT")
    assert ask()[2] == b"answer 3"


def test_it_travels_compressed_and_not_twice(ask: Asking) -> None:
    _, headers, body = ask(HTTP_ACCEPT_ENCODING="gzip, br")
    assert headers["Content-Encoding"] == "gzip"
    assert gzip.decompress(body) == b"answer 1"
    status, again, body = ask(HTTP_IF_NONE_MATCH=headers["ETag"])
    assert (status[:3], again["ETag"], body) == ("304", headers["ETag"], b"")


def test_what_went_wrong_is_not_kept(ask: Asking) -> None:
    ask.status = "500 Internal Server Error"
    assert ask()[0][:3] == "500"
    ask.status = "200 OK"
    assert ask()[2] == b"answer 2"


def test_few_are_kept(ask: Asking) -> None:
    for number in range(KEPT + 1):
        ask(QUERY_STRING=str(number))
    ask(QUERY_STRING=str(KEPT))
    assert ask.made == KEPT + 1
    ask(QUERY_STRING="0")
    assert ask.made == KEPT + 2

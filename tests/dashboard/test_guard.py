"""The guard alone: what it lets through, what it refuses, what it adds."""

from typing import Any
from urllib.parse import urlencode
from wsgiref.util import setup_testing_defaults

import pytest

from ranksearch.dashboard.guard import HEADERS, Guard

TOKEN = "sixteen characters; at least"
OWN = {"HTTP_ORIGIN": "http://localhost:8080", "HTTP_SEC_FETCH_SITE": "same-origin"}


class Asked:
    """One request through a guard: what came back, and whether the application was reached."""

    def __init__(self, method: str = "GET", path: str = "/", query: str = "", headers: Any = None, **how: Any) -> None:
        self.reached = False

        def application(environ: Any, start_response: Any) -> list[bytes]:
            self.reached = True
            start_response("200 OK", [("Content-Type", "text/plain"), ("X-Frame-Options", "SAMEORIGIN")])
            return [b"within"]

        environ: dict[str, Any] = {"HTTP_HOST": "localhost:8080", "REQUEST_METHOD": method, "PATH_INFO": path}
        environ |= {"QUERY_STRING": query, **(headers or {})}
        setup_testing_defaults(environ)
        guard = Guard(application, **{"names": ("localhost", "::1"), "token": None, "edits": False, **how})
        self.body = b"".join(guard(environ, self._start)).decode()

    def _start(self, status: str, headers: list[tuple[str, str]], error: Any = None) -> None:
        self.status, self.headers = int(status[:3]), dict(headers)


def test_looking_passes_and_bears_the_headers() -> None:
    for method in ("GET", "HEAD"):
        asked = Asked(method, "/api/studies")
        assert (asked.status, asked.reached) == (200, True)
        assert asked.body == ("within" if method == "GET" else "")
        assert asked.headers == HEADERS | {"Content-Type": "text/plain", "X-Frame-Options": "SAMEORIGIN"}


@pytest.mark.parametrize("method", ["DELETE", "PUT", "POST", "PATCH", "OPTIONS", "TRACE", "delete"])
@pytest.mark.parametrize("path", ["/api/studies/1", "/api/studies/1/note", "/incompatible-rdb-schema"])
def test_all_else_is_refused_in_a_sentence(method: str, path: str) -> None:
    asked = Asked(method, path, headers=OWN)
    assert (asked.status, asked.reached) == (405, False)
    assert asked.headers["Allow"] == "GET, HEAD"
    assert "--allow-edit" in asked.body
    assert asked.body.startswith('{"reason": ' if path.startswith("/api/") else "ranksearch: ")


@pytest.mark.parametrize(
    ("method", "path", "headers", "status"),
    [
        ("PUT", "/api/studies/1/note", OWN, 200),
        ("PUT", "/api/studies/1/23/note", OWN, 200),
        ("DELETE", "/api/studies/1", OWN, 200),
        ("DELETE", "/api/studies/1", {}, 403),
        ("DELETE", "/api/studies/1", {"HTTP_ORIGIN": "http://evil.example"}, 403),
        ("DELETE", "/api/studies/1", {"HTTP_ORIGIN": "http://localhost:9090"}, 403),
        ("DELETE", "/api/studies/1", {"HTTP_ORIGIN": "null"}, 403),
        ("DELETE", "/api/studies/1", OWN | {"HTTP_SEC_FETCH_SITE": "same-site"}, 403),
        ("POST", "/api/studies/1/rename", OWN, 403),
        ("POST", "/api/studies", OWN, 403),
        ("POST", "/api/trials/3/tell", OWN, 403),
        ("POST", "/api/trials/3/user-attrs", OWN, 403),
        ("POST", "/incompatible-rdb-schema", OWN, 403),
        ("DELETE", "/api/studies/1/preference/2", OWN, 403),
        ("PUT", "/api/studies/1/note/../rename", OWN, 403),
    ],
)
def test_notes_and_deleting_may_be_allowed_to_its_own_pages(
    method: str, path: str, headers: dict[str, str], status: int
) -> None:
    asked = Asked(method, path, headers=headers, edits=True)
    assert (asked.status, asked.reached) == (status, status == 200)


@pytest.mark.parametrize(
    ("host", "status"),
    [("localhost", 200), ("LOCALHOST:1", 200), ("[::1]:8080", 200), ("evil.example:8080", 403), ("", 403), ("[", 403),
     ("localhost@evil.example", 403), ("localhost.evil.example", 403)],
)  # fmt: skip
def test_on_loopback_only_its_names_are_answered(host: str, status: int) -> None:
    assert Asked(headers={"HTTP_HOST": host}).status == status
    assert Asked(headers={"HTTP_HOST": host}, names=None).status == 200


def test_a_token_is_asked_for_once_and_a_cookie_from_then_on() -> None:
    first = Asked(query=urlencode({"token": TOKEN}), token=TOKEN)
    assert (first.status, first.reached) == (200, False)  # the address with the token is left at once
    cookie, *attributes = first.headers["Set-Cookie"].split("; ")
    assert set(attributes) == {"Path=/", "HttpOnly", "SameSite=Strict"}
    assert TOKEN not in cookie
    assert Asked(headers={"HTTP_COOKIE": f"other=1; {cookie}"}, token=TOKEN).reached
    assert not Asked("DELETE", headers={"HTTP_COOKIE": cookie}, token=TOKEN).reached
    for odd in ('prefs={"theme":"dark"}', "flag", "x=a b", "ü=1", "name@x=1", ""):  # of another program on this host
        for given in (f"{odd}; {cookie}", f"{cookie};{odd}"):
            assert Asked(headers={"HTTP_COOKIE": given}, token=TOKEN).reached, given


@pytest.mark.parametrize(
    ("query", "cookie"),
    [("", ""), ("token=", ""), ("token=wrong", ""), ("token=%F0%9F%98%80", ""), ("", "ranksearch="),
     ("", f'ranksearch="{TOKEN}"'), ("", "ranksearch=\xe9"), ("", "=;;\x00")],
)  # fmt: skip
def test_without_the_token_nothing_is_shown(query: str, cookie: str) -> None:
    asked = Asked(query=query, headers={"HTTP_COOKIE": cookie}, token=TOKEN)
    assert (asked.status, asked.reached) == (401, False)
    assert "token" in asked.body
    assert "Set-Cookie" not in asked.headers


def test_a_cookie_of_another_token_is_none() -> None:
    cookie = Asked(query=urlencode({"token": TOKEN}), token=TOKEN).headers["Set-Cookie"].partition(";")[0]
    assert Asked(headers={"HTTP_COOKIE": cookie}, token=TOKEN + "!").status == 401

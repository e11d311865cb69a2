"""What stands before the dashboard: who may look, and that looking is all."""

import hashlib
import hmac
import json
import re
from collections.abc import Collection, Iterable
from urllib.parse import parse_qs, urlsplit

from .packed import Application, Environ, StartResponse

LOOKING = ("GET", "HEAD")  # no page of optuna-dashboard needs more to be looked at

#: edits that may be allowed, by method. Renaming and what tells or alters a trial would part a study from its workers.
EDITS = {"PUT": re.compile(r"/api/studies/\d+(/\d+)?/note"), "DELETE": re.compile(r"/api/studies/\d+")}

HEADERS = {
    "Cache-Control": "private, no-cache",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}

ENTRY = """<!DOCTYPE html><html lang="en"><meta charset="utf-8"><title>ranksearch</title>
<meta http-equiv="refresh" content="0; url=/"><p><a href="/">ranksearch</a></p></html>
"""


class Guard:
    """WSGI: lets through to ``application`` what is allowed, refuses the rest in a sentence, and names headers that
    keep other sites out.

    Args:
        names: host names by which it may be called, so that no other site's name is bound to this machine (DNS
            rebinding); None allows any.
        token: asked for once in the address, then kept in a cookie; None asks for none.
        edits: whether :data:`EDITS` are allowed; from its own pages only.
        cookie: name of the cookie; cookies know no port, two dashboards of one host must not share it.
    """

    def __init__(
        self,
        application: Application,
        *,
        names: Collection[str] | None,
        token: str | None,
        edits: bool,
        cookie: str = "ranksearch",
    ) -> None:
        self._application, self._names, self._edits, self._cookie = application, names, edits, cookie
        self._token = token
        self._session = hmac.new((token or "").encode(), b"ranksearch dashboard", hashlib.sha256).hexdigest()

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        body = self._answer(environ, start_response)
        return [] if environ["REQUEST_METHOD"] == "HEAD" else body

    def _answer(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        def start(status: str, headers: list[tuple[str, str]], error: object = None) -> object:
            named = {name.lower() for name, _ in headers}
            return start_response(status, headers + [(k, v) for k, v in HEADERS.items() if k.lower() not in named])

        if self._names is not None and _host(environ) not in self._names:
            return _refuse(environ, start, "403 Forbidden", f"on this machine, call it {' or '.join(self._names)}")
        if self._token is not None and not self._is_known(environ):
            if self._brings_token(environ):
                kept = f"{self._cookie}={self._session}; Path=/; HttpOnly; SameSite=Strict"
                start("200 OK", [("Content-Type", "text/html; charset=utf-8"), ("Set-Cookie", kept)])
                return [ENTRY.encode()]  # not a redirection: after one, the link's site would count, and the cookie not
            told = "the token is missing or wrong; open the address that `ranksearch dashboard` printed"
            return _refuse(environ, start, "401 Unauthorized", told)
        if refusal := self._refusal(environ):
            return _refuse(environ, start, *refusal)
        return self._application(environ, start)

    def _is_known(self, environ: Environ) -> bool:
        kept = (part.strip().partition("=") for part in environ.get("HTTP_COOKIE", "").split(";"))  # others' are odd
        return any(name == self._cookie and _same(value, self._session) for name, _, value in kept)

    def _brings_token(self, environ: Environ) -> bool:
        brought = parse_qs(environ.get("QUERY_STRING", "")).get("token", [""])[0]
        return environ["REQUEST_METHOD"] == "GET" and _same(brought, self._token or "")

    def _refusal(self, environ: Environ) -> tuple[str, str] | None:
        """Status and sentence, where a request is more than looking and not allowed."""
        method = environ["REQUEST_METHOD"]
        if method in LOOKING:
            return None
        if not self._edits:
            told = f"this dashboard is for looking: {method} is refused; --allow-edit allows notes and deleting studies"
            return "405 Method Not Allowed", told
        if method not in EDITS or not EDITS[method].fullmatch(environ["PATH_INFO"]):
            return "403 Forbidden", "of edits, notes and deleting studies are allowed: workers rely on the rest"
        if not _is_own(environ):
            return "403 Forbidden", "edits are taken from the dashboard's own pages only"
        return None


def _host(environ: Environ) -> str | None:
    """The name in the address that was asked for, without its port."""
    try:
        return urlsplit(f"//{environ.get('HTTP_HOST', '')}").hostname
    except ValueError:
        return None


def _is_own(environ: Environ) -> bool:
    """Whether a request comes from a page of this very address, as browsers say it."""
    own = [f"{scheme}://{environ.get('HTTP_HOST')}" for scheme in ("http", "https")]  # the latter: behind a proxy
    return environ.get("HTTP_ORIGIN") in own and environ.get("HTTP_SEC_FETCH_SITE", "same-origin") == "same-origin"


def _same(given: str, secret: str) -> bool:
    """In a time that tells nothing of where they differ."""
    return hmac.compare_digest(given.encode("utf-8", "replace"), secret.encode("utf-8", "replace"))


def _refuse(environ: Environ, start: StartResponse, status: str, told: str) -> Iterable[bytes]:
    """A sentence: as optuna-dashboard's pages show one, and as text to everybody else."""
    headers = [("Allow", ", ".join(LOOKING))] if status.startswith("405") else []
    if environ["PATH_INFO"].startswith("/api/"):
        start(status, [("Content-Type", "application/json"), *headers])
        return [json.dumps({"reason": told}).encode()]
    start(status, [("Content-Type", "text/plain; charset=utf-8"), *headers])
    return [f"ranksearch: {told}\n".encode()]

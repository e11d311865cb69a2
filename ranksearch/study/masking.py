"""Passwords of a storage's URL, kept out of what is printed, logged or recorded."""

import re
from urllib.parse import quote

import sqlalchemy

SECRETS = re.compile(r"((?:password|passwd|pwd)=)([^&]*)", re.IGNORECASE)  # in the query of a URL


def masked(storage: str) -> str:
    """A storage without its passwords, fit to be printed.

    >>> masked("postgresql://me:secret@host/db?sslpassword=hidden"), masked("sqlite")
    ('postgresql://me:***@host/db?sslpassword=***', 'sqlite')
    """
    return SECRETS.sub(r"\1***", re.sub(r"(?s)((?:^|://)[^:/@]*:)(?!//).*@", r"\1***@", storage))


def without_secrets(told: str, url: str) -> str:
    """What a driver told, without the passwords of its ``url``, written plainly or as in a URL.

    >>> without_secrets("me, p@ss or p%40ss", "postgresql://me:p%40ss@host/db")
    'me, *** or ***'
    """
    parsed = sqlalchemy.make_url(url)
    secrets = {str(parsed.password or ""), *(str(v) for k, v in parsed.query.items() if SECRETS.match(f"{k}="))}
    secrets |= {match[2] for match in SECRETS.finditer(url)}
    for secret in sorted(secrets - {""}, key=len, reverse=True):
        for written in (secret, quote(secret, safe=" +"), quote(secret, safe="")):
            told = told.replace(written, "***")
    return told

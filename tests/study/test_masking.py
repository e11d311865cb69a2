import pytest

from ranksearch.study.masking import masked, without_secrets


@pytest.mark.parametrize(
    "storage",
    [
        "postgresql://me:secret@host/db",
        "postgresql+psycopg://me:secret%2Fx@host:5432/db?connect_timeout=3",
        "postgresql://:secret@host/db",
        "mysql://me@host/db?password=secret&ssl=1",
        "mysql://host/db?user=me&PASSWD=secret",
        "postgresql://me:sec/ret@secret@host/db",
        "mysql://me:p%40secret:w/ret@host/db",
        "postgresql://me:secret\nret@host/db",
        "me:secret@host/db",
        "postgresql:/me:secret@host/db",
    ],
)
def test_passwords_are_masked(storage: str) -> None:
    shown = masked(storage)
    assert "secret" not in shown
    assert "ret@" not in shown
    assert "host" in shown


@pytest.mark.parametrize(
    "storage",
    ["sqlite", "sqlite:////a/b@c:d@e.db", "postgresql://me@host:5432/db", "mysql://me@/db?unix_socket=/a:b/c"],
)
def test_without_a_password_nothing_is_masked(storage: str) -> None:
    assert masked(storage) == storage


@pytest.mark.parametrize("url", ["mysql://me:p%40ss%3Aw%2Frd@host/db", "mysql://me@host/db?password=p%40ss%3Aw%2Frd"])
@pytest.mark.parametrize("told", ["p@ss:w/rd", "p%40ss%3Aw%2Frd", "'p@ss:w/rd', again p@ss:w/rd"])
def test_what_a_driver_tells_is_freed_of_them(url: str, told: str) -> None:
    left = without_secrets(f"access denied for me: {told}", url)
    assert left.startswith("access denied for me: ")
    assert "ss" not in left.removeprefix("access")
    assert "***" in left

"""The tree of errors."""

import pytest

from ranksearch import errors
from ranksearch.errors import RanksearchError, StorageError, nearest

TREE = [e for e in vars(errors).values() if isinstance(e, type) and issubclass(e, Exception)]


@pytest.mark.parametrize("error", TREE)
def test_every_error_is_ours_documented_and_leaves_with_a_code_of_the_contract(error):
    assert issubclass(error, RanksearchError)
    assert error.__doc__
    assert error.exit_code == (75 if issubclass(error, StorageError) else 2)


def test_nearest_prefers_the_close_word_and_otherwise_lists_all():
    assert nearest("ratoi", ["ratio", "form"]) == "; did you mean 'ratio'?"
    assert nearest("colour", ["ratio", "form"]) == "; allowed: ratio, form"

"""The tree of errors: each message states the law, the numbers and the remedy, and names the layer, key or file.

Everything a user can cause derives from :class:`RanksearchError`; the command line prints it as one
line and leaves with its ``exit_code``.
"""


class RanksearchError(Exception):
    """Root of all errors raised on purpose by this package."""

    exit_code = 2  # refused: trying again unchanged will not help


class StudyFileError(RanksearchError):
    """A study file that cannot be read, or a key or value in it that is not allowed."""


class NetworkError(RanksearchError):
    """A network that cannot be built, run, or taken apart into layers."""


class WeightsError(RanksearchError):
    """A checkpoint that is missing, corrupt, or does not fit the network."""


class DataError(RanksearchError):
    """A data set that is missing, corrupt, or cannot be split as asked."""


class UnreadableError(DataError):
    """An item of a data set that the system would not read: fails that trial, and may be there for the next."""


class RankError(RanksearchError):
    """Ranks outside their legal range, or a rank configuration that does not fit the network."""


class BudgetError(RanksearchError):
    """A compression ratio, accuracy floor or budget that cannot be attained."""


class DenseAccuracyError(RanksearchError):
    """The dense network is near chance or below what the study expects: nothing to search."""


class StudyChangedError(RanksearchError):
    """A study resumed with settings that change what is measured."""


class NonFiniteError(RanksearchError):
    """A loss or an output became infinite or NaN; ends that trial, never the study."""


class MetricError(RanksearchError):
    """The user's metric is no number, or the loss no scalar; fails that trial, of which it says nothing."""


class SelectionError(RanksearchError):
    """A point of the front was asked for that does not exist."""


class ExportError(RanksearchError):
    """A network that cannot be exported, an export that cannot be read, or one that computes something else."""


class TableError(RanksearchError):
    """A table that cannot be written: an unknown suffix, or a file that refuses."""


class ReportError(RanksearchError):
    """A report that cannot be written: nothing to report on, or a file that refuses."""


class StorageError(RanksearchError):
    """A storage that cannot be reached; the same command may succeed later."""

    exit_code = 75  # EX_TEMPFAIL of sysexits.h: try again


def nearest(word: str, allowed: "list[str] | tuple[str, ...]") -> str:
    """The clause that tells what was probably meant: ``"; did you mean 'lr'?"`` or the allowed words.

    >>> nearest("trails", ["trials", "seed"])
    "; did you mean 'trials'?"
    >>> nearest("xyz", ["trials", "seed"])
    '; allowed: trials, seed'
    """
    from difflib import get_close_matches

    close = get_close_matches(word, allowed, n=1)
    return f"; did you mean {close[0]!r}?" if close else "; allowed: " + ", ".join(allowed)


def describe(failure: BaseException) -> str:
    """Type and first line of an exception, for a message of one line.

    >>> describe(ValueError("no\\nmore"))
    'ValueError: no'
    """
    lines = str(failure).strip().splitlines()
    return type(failure).__name__ + (f": {lines[0]}" if lines else "")

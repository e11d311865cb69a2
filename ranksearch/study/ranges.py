"""A hyper-parameter of a study file: a value is fixed, a list or a range is searched."""

import math
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import msgspec

from ..errors import StudyFileError


class Range(msgspec.Struct, frozen=True, kw_only=True):
    """``{ low, high, log?, step? }``: every value between two ends, both included.

    Attributes:
        low, high: the ends, ``low < high``.
        log: searched on a logarithmic scale; needs ``low > 0`` and takes no ``step``.
        step: only ``low``, ``low + step``, … ``high``.
    """

    low: float
    high: float
    log: bool = False
    step: float | None = None


class WholeRange(Range, frozen=True, kw_only=True):
    """The same over whole numbers."""

    low: int
    high: int
    step: int | None = None


Words = str | tuple[str, ...]
Numbers = float | tuple[float, ...] | Range
Integers = int | tuple[int, ...] | WholeRange
Setting = Words | Numbers | Integers


def is_searched(setting: Setting) -> bool:
    """Whether it varies from trial to trial.

    >>> is_searched(0.1), is_searched((0.1, 0.2)), is_searched(Range(low=0.1, high=0.2))
    (False, True, True)
    """
    return isinstance(setting, (tuple, Range))


def words(setting: Words) -> tuple[str, ...]:
    """Every word that a setting may become.

    >>> words("none"), words(("none", "linear"))
    (('none',), ('none', 'linear'))
    """
    return (setting,) if isinstance(setting, str) else setting


def default(setting: Setting) -> Any:
    """The value of trials that no sampler proposed: the first of a list, the (geometric) middle of a range.

    >>> default(("none", "linear")), default(Range(low=0.01, high=1, log=True)), default(Range(low=0, high=1, step=0.3))
    ('none', 0.1, 0.6)
    """
    if isinstance(setting, tuple):
        return setting[0]
    if not isinstance(setting, Range):
        return setting
    middle = math.sqrt(setting.low * setting.high) if setting.log else (setting.low + setting.high) / 2
    step = setting.step or (1 if isinstance(setting, WholeRange) else None)
    if step is None:
        return middle
    nearest = setting.low + step * round((middle - setting.low) / step)
    return round(nearest, 12)


def require(key: str, setting: Setting, law: Callable[[Any], object]) -> None:
    """Checks a hyper-parameter at every value of a list and at both ends of a range.

    Args:
        key: dotted path in the study file.
        law: raises :class:`StudyFileError` for a value that is not allowed.

    Raises:
        StudyFileError: by ``law``, or a list or range that leaves nothing to search.
    """
    if isinstance(setting, tuple) and len(set(setting)) < max(2, len(setting)):
        raise StudyFileError(f"{key} = {list(setting)}: a list is searched and needs two or more different values")
    if not isinstance(setting, Range):
        for value in setting if isinstance(setting, tuple) else (setting,):
            law(value)
        return
    given = f"{key} = {{ low = {setting.low:g}, high = {setting.high:g} }}"
    if not setting.low < setting.high:
        raise StudyFileError(f"{given}: low must be below high; write the value itself to fix it")
    if setting.log and setting.low <= 0:
        raise StudyFileError(f"{given}: log = true needs low above 0")
    if setting.step is not None and (setting.log or not 0 < setting.step <= setting.high - setting.low):
        raise StudyFileError(f"{given}: step = {setting.step:g} must lie in (0, high − low], without log = true")
    if setting.step is not None and (Decimal(str(setting.high)) - Decimal(str(setting.low))) % Decimal(
        str(setting.step)
    ):
        raise StudyFileError(f"{given}: high − low must be a multiple of step = {setting.step:g}")
    law(setting.low)
    law(setting.high)

"""What a study's measurements depend on, as digests: two studies compare, and one is resumed, only where they agree."""

import hashlib
from collections.abc import Iterator, Mapping
from typing import Any

import msgspec

from ..errors import StudyChangedError

#: settings that change neither a measurement nor the search space, and so may change when a study is resumed.
#: Weights and data are held by the digests of their content, wherever they lie.
FREE = (
    "name", "network.weights", "network.expect_accuracy", "network.training", "data.source", "data.workers",
    "search.trials", "search.minutes", "search.sampler", "search.baselines", "search.storage", "search.artifacts",
    "search.workers", "search.device", "search.stop", "search.population", "search.closed_form", "screen.share",
    "screen.candidates", "screen.bypass", "screen.enqueue", "screen.stages", "finetune", "report",
)  # fmt: skip


def fingerprint(settings: Mapping[str, Any], variables: Mapping[str, Any], **contents: Any) -> dict[str, str]:
    """Sixteen hexadecimal digits by what they cover.

    Args:
        settings: of the study file, :func:`ranksearch.study.settings`.
        variables: :meth:`Variables.described`: names and bounds.
        contents: what no setting tells, each a part of its own: weights, splits, method version.
    """
    parts: dict[str, Any] = {}
    for key, value in _bound(settings).items():
        parts.setdefault(key.split(".")[0], {})[key] = value
    return {name: _digest(part) for name, part in sorted((parts | {"variables": variables} | contents).items())}


def require_same(
    name: str,
    old: Mapping[str, str],
    new: Mapping[str, str],
    old_settings: Mapping[str, Any],
    new_settings: Mapping[str, Any],
) -> None:
    """Refuses to resume a study under which something changed that its measurements depend on.

    Args:
        name: of the study.
        old, new: fingerprints.
        old_settings, new_settings: of the study as it was made and of the file now.

    Raises:
        StudyChangedError: lists the changed settings as dotted keys, and what else changed by name.
    """
    parts = sorted(part for part in old.keys() | new.keys() if old.get(part) != new.get(part))
    if not parts:
        return
    before, after = _bound(old_settings), _bound(new_settings)
    changed = [k for k in before | after if before.get(k) != after.get(k)]
    told = [f"{key} {_shown(before.get(key))} → {_shown(after.get(key))}" for key in changed]
    sections = {key.split(".")[0] for key in changed}
    # variables follow from the settings and the network: they are news only where neither changed
    told += [part for part in parts if part not in sections and not (part == "variables" and told)]
    raise StudyChangedError(
        f"study {name!r} measured under other conditions, and resuming it would mix them: {'; '.join(told)}; "
        "restore them, or give the study a new name"
    )


def _flat(settings: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Settings by dotted key; lists and ranges whole."""
    for name, value in settings.items():
        if isinstance(value, Mapping) and value.keys() - {"low", "high", "log", "step"}:
            yield from _flat(value, f"{prefix}{name}.")
        else:
            yield prefix + name, value


def _bound(settings: Mapping[str, Any]) -> dict[str, Any]:
    """What may not change, by dotted key: all but :data:`FREE`, ``elastic`` where no trial starts from it, and
    ``latency`` where none is timed."""
    init, search = settings.get("training", {}).get("init", ()), settings.get("search", {})
    asked = {
        "elastic": "elastic" in ([init] if isinstance(init, str) else init),
        "latency": "latency_ratio" in (*search.get("objectives", ()), *search.get("floors", ())),
    }
    return {k: v for k, v in _flat(settings) if not _is_free(k) and asked.get(k.split(".")[0], True)}


def _is_free(key: str) -> bool:
    return any(key == free or key.startswith(free + ".") for free in FREE)


def _digest(part: Any) -> str:
    return hashlib.sha256(msgspec.json.encode(part, order="sorted")).hexdigest()[:16]


def _shown(value: Any) -> str:
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{k} = {v}" for k, v in value.items() if v not in (None, False)) + "}"
    return "(none)" if value is None else str(value)

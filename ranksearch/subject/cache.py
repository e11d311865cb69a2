"""Where costly intermediate results lie: dense networks trained here, bases, the precision a probe chose."""

import hashlib
import os
from pathlib import Path
from typing import Any

import msgspec
import platformdirs


def cache_folder() -> Path:
    """``RANKSEARCH_CACHE``, or the platform's cache folder."""
    return Path(os.environ.get("RANKSEARCH_CACHE") or platformdirs.user_cache_dir("ranksearch"))


def cache_file(kind: str, made_of: Any, suffix: str = ".safetensors") -> Path:
    """The file of what is made of ``made_of`` (anything msgspec can encode), whether it is there or not."""
    digest = hashlib.sha256(msgspec.json.encode(made_of)).hexdigest()[:16]
    return cache_folder() / kind / f"{digest}{suffix}"

import re
import tomllib
from pathlib import Path
from typing import Any

import pytest

from ranksearch.study import parse_study, read_study, settings, template


def _keys(table: dict[str, Any], prefix: str = "") -> set[str]:
    return {
        key
        for name, value in table.items()
        for key in (_keys(value, f"{prefix}{name}.") if isinstance(value, dict) and value else {prefix + name})
    }


def test_it_reads_as_the_defaults(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(template("my_package:net", "folder:photos", name="mine"))
    least = {"network": {"model": "my_package:net"}, "data": {"source": "folder:photos", "search": 1000}}
    assert read_study(path) == parse_study(least, path)


def test_every_key_is_written_out(tmp_path: Path) -> None:
    text = template("m", "d")
    written = tomllib.loads(text)
    every = _keys(settings(parse_study(written, tmp_path / "mine.toml")))
    off = {line.split("=")[0].strip("# ") for line in text.splitlines() if re.match(r"# \w+ = ", line)}
    missing = every - _keys(written)
    optional = {key for key in missing if key.split(".")[-1] in off}
    assert missing - optional == {"training.epochs"} | {
        f"finetune.{key}"
        for key in (
            "batch", "optimizer", "momentum", "weight_decay", "warmup", "clip", "distillation", "temperature", "learn",
            "init", "fade", "end", "order",
        )
    }  # fmt: skip
    assert "or epochs = " in text
    assert "the rest of [training]: as the chosen trial's" in text
    assert "the rest of [schedule], likewise" in text


@pytest.mark.parametrize("model", ['say "hi"', "back\\slash", "Übung", "a{b}c"])
def test_any_words_are_quoted(tmp_path: Path, model: str) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(template(model, "d"))
    assert read_study(path).network.model == model

"""Programs compute what the network does, for a batch of any size, in PyTorch without this package."""

import subprocess
import sys
import zipfile
from pathlib import Path
from typing import cast

import pytest
import torch

from ranksearch.errors import ExportError
from ranksearch.export import load_program, read_program_ranks, save_program
from ranksearch.layers import Form
from ranksearch.records import RankFile

from .compressed_networks import built, collapsed

ALONE = """
import sys
import torch
held = {"ranksearch.json": ""}
network = torch.export.load("network.pt2", extra_files=held).module()
inputs = torch.load("inputs.pt")
torch.save([network(inputs[:n]) for n in (1, 5)], "outputs.pt")
assert "ranksearch" not in sys.modules
print(held["ranksearch.json"])
"""


@pytest.mark.parametrize("case", ["digits plain", "digits pivoted", "resnet20 pivoted", "vgg13 plain", "odd pivoted"])
def test_pytorch_alone_computes_the_same(case: str, tmp_path: Path) -> None:
    name, form = cast(tuple[str, Form], case.split())
    network, x = built(name)
    compressed, ranks = collapsed(network, x, form)
    path = save_program(compressed, x, tmp_path / "made" / "network.pt2", ranks)
    inputs = torch.randn(5, *x.shape[1:])
    torch.save(inputs, path.with_name("inputs.pt"))
    alone = subprocess.run([sys.executable, "-c", ALONE], cwd=path.parent, capture_output=True, text=True, check=False)
    assert alone.returncode == 0, alone.stderr
    assert RankFile.from_text(alone.stdout) == ranks == read_program_ranks(path)
    with torch.inference_mode():
        expected = compressed(inputs)
        torch.testing.assert_close(load_program(path)(inputs), expected, rtol=1e-4, atol=1e-4)
    for images, found in zip((1, 5), torch.load(path.with_name("outputs.pt")), strict=True):
        torch.testing.assert_close(found, expected[:images], rtol=1e-4, atol=1e-4)


def test_other_files_are_refused_in_one_line(tmp_path: Path) -> None:
    text, bare = tmp_path / "text.pt2", tmp_path / "bare.pt2"
    text.write_text("no archive")
    with zipfile.ZipFile(bare, "w") as archive:
        archive.writestr("bare/version", "1")
    for path in (text, tmp_path / "missing.pt2", tmp_path):
        for read in (read_program_ranks, load_program):
            with pytest.raises(ExportError, match=r"not a readable torch\.export program") as caught:
                read(path)
            assert "\n" not in str(caught.value)
    with pytest.raises(ExportError, match=r"bare\.pt2: a program without ranks"):
        read_program_ranks(bare)
    with pytest.raises(ExportError, match=r"bare\.pt2: not a readable torch.export program"):
        load_program(bare)

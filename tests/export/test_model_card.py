"""The card says what was measured, what to type, and how it came about; nothing from outside becomes markup."""

import json
import shlex

import msgspec
import pytest
from markdown_it import MarkdownIt

from ranksearch.export import model_card
from ranksearch.layers import Dense, LayerSpec, NetworkSpec, RankConfiguration, Svd, Tucker2, network_cost
from ranksearch.layers.spec import LeftDense
from ranksearch.records import Machine, Measurement, RankFile, StudyRecord

HOSTILE = "a|b `` `c` <script>alert(1)</script> [x](javascript:y) ![z](w) *e* _f_ &lt; $g$ # h\n\n# heading\n```\n| d |"


def study(text: str) -> StudyRecord:
    layers = (
        LayerSpec(name=text or "conv", kind="conv2d", channels_out=16, channels_in=8, kernel=(3, 3)),
        LayerSpec(name="fc", kind="linear", channels_out=10, channels_in=16, bias=True),
    )
    return StudyRecord(
        name=text or "toy",
        network=NetworkSpec(
            layers=layers, left_dense=(LeftDense(name="norm", type=text or "Odd", params=7, reason=text or "odd"),),
            params=1329, macs=9000,
        ),
        form="pivoted",
        objectives=("accuracy", "compression_ratio"),
        dense=Measurement(0.9512, 0.0, "search", 1000),
        ratio=(1.0, 16.0),
        accuracy_floor=0.5,
        settings={"network": {"model": "resnet20", "arguments": {"width": 3}}, "data": {"source": text or "digits"}},
        fingerprint={"weights": text or "0123"},
        splits={"train": 1, "search": 1, "test": 1},
        protocol=(text or "search: 1,000 images taken out of training",),
        machine=Machine(device="cpu", processor=text or "a processor", threads=2, precision="float32", versions={}),
    )  # fmt: skip


def ranks_of(made: StudyRecord, text: str) -> RankFile:
    chosen = {made.network.names[0]: Tucker2(5, 4), "fc": Svd(3), "norm": Dense(text or "odd")}
    return RankFile(
        network={"model": text or "resnet20", "weights": text or "0123"},
        configuration=RankConfiguration(chosen),  # type: ignore[arg-type]
        measured=Measurement(0.9345, 0.0123, "test", 2000),
        provenance={"trial": 7, "origin": text or "sampler", text or "study": text or "toy"},
    )


def card(text: str = "") -> tuple[str, StudyRecord, RankFile]:
    made = study(text)
    ranks = ranks_of(made, text)
    dense = {"dense network": made.dense}
    return model_card(ranks, made, record=None, dense=dense, classes=10, file_bytes=4321, digest="abc"), made, ranks


def test_the_numbers_and_the_commands_are_there() -> None:
    text, made, ranks = card()
    for form in ("plain", "pivoted"):
        cost = network_cost(made.network, ranks.configuration, form)  # type: ignore[arg-type]
        assert f"{cost.params:,}" in text
        assert f"{cost.compression_ratio:.2f}×" in text
    assert "| compressed | 93.45% | test | 2,000 | 0.0123 |" in text
    assert "| dense network | 95.12% | search | 1,000 | 0 |" in text
    assert "| `conv` | 16×8×3×3 | 5×4 | 16×8 | 1,152 |" in text
    assert "4,321 bytes" in text
    assert "- search: 1,000 images taken out of training" in text
    assert "network = build_network('resnet20', classes=10, arguments={'width': 3})" in text
    assert "ranksearch export toy.toml --select trial=7 -o ranks.json" in text
    blocks = {t.info: t.content for t in MarkdownIt().parse(text) if t.type == "fence"}
    assert json.loads(blocks["json"]) == made.settings
    strange = msgspec.structs.replace(ranks, provenance={"trial": 7, "study": "another"})
    told = model_card(strange, made, record=None, dense={}, classes=10, file_bytes=1, digest="abc")
    assert "--select" not in told  # its trial 7 is not this study's
    fenced = [t.content for t in MarkdownIt().parse(text) if t.type == "fence" and t.info == "json"]
    assert RankFile.from_text(fenced[0]) == ranks


def test_a_study_of_a_notebook_is_taken_up_there() -> None:
    made = study("")
    made = msgspec.structs.replace(made, settings=made.settings | {"data": {"source": "given"}})
    told = model_card(ranks_of(made, ""), made, record=None, dense={}, classes=None, file_bytes=1, digest="abc")
    assert 'study.export("ranks.json", select="trial=7")' in told
    assert ".toml" not in told


def shape(text: str) -> list[str]:
    """The kinds of blocks that a renderer sees, and of what stands in them, besides text and code."""
    tokens = MarkdownIt("commonmark").enable("table").parse(text)
    inline = [child.type for t in tokens for child in t.children or [] if child.type not in ("text", "code_inline")]
    return [t.type for t in tokens] + sorted(set(inline) - {"text_special", "softbreak"})


def test_nothing_from_outside_becomes_markup() -> None:
    text, _, ranks = card(HOSTILE)
    assert shape(text) == shape(card()[0])
    for at, block in enumerate(t for t in MarkdownIt().parse(text) if t.type == "fence"):
        if block.info == "sh":
            for line in block.content.splitlines():
                assert " ".join(f"{HOSTILE}.toml".split()) in shlex.split(line)
        if block.info == "python":
            compile(block.content, "card", "exec")
        if at == 2:
            assert RankFile.from_text(block.content) == ranks


@pytest.mark.parametrize("failing", [None, 0.0])
def test_a_distance_that_is_not_finite_is_named(failing: float | None) -> None:
    made = study("")
    ranks = msgspec.structs.replace(ranks_of(made, ""), measured=Measurement(0.5, failing, "search", 10))
    text = model_card(ranks, made, record=None, dense={}, classes=None, file_bytes=1, digest="")
    assert ("not finite" in text) == (failing is None)


def test_a_checkpoint_in_mixed_forms_is_counted_as_it_is_stored() -> None:
    made = study("")
    ranks = msgspec.structs.replace(ranks_of(made, ""), layer_forms={"fc": "dense"})
    text = model_card(ranks, made, record=None, dense={}, classes=None, file_bytes=1, digest="")
    stored = network_cost(made.network, ranks.configuration, "pivoted", ranks.layer_forms)
    assert stored.params != network_cost(made.network, ranks.configuration, "pivoted").params
    assert f"{stored.compression_ratio:.2f}× smaller" in text.splitlines()[0]
    assert "in the pivoted form but for 1 dense, float32" in text
    assert f"| parameters | 1,329 | {stored.params:,} |" in text

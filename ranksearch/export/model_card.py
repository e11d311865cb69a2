"""The model card: Markdown that says what a compressed network is, what was measured of it, and how to make it again.

Every name and sentence from outside (study, layers, data, reasons) stands in it as text that Markdown does not read.
"""

import json
import shlex
from collections.abc import Iterable, Mapping

import msgspec

from .. import markdown
from ..layers import Dense, Form, LayerRanks, NetworkSpec, RankConfiguration, full_ranks, layer_params, network_cost
from ..layers.configuration import as_tuple
from ..markdown import fenced, prose
from ..records import Measurement, RankFile, StudyRecord, TrialRecord

FORMS: tuple[Form, ...] = ("pivoted", "plain")


def model_card(
    ranks: RankFile,
    study: StudyRecord,
    *,
    record: TrialRecord | None,
    dense: Mapping[str, Measurement],
    classes: int | None,
    file_bytes: int,
    digest: str,
) -> str:
    """The card's text.

    Args:
        ranks: of the network, as its checkpoint holds them.
        record: of the training that made it; None where the storage has none.
        dense: what the network is to be compared with, by label.
        classes: that the network tells apart; None where it does not.
        file_bytes, digest: of the checkpoint.
    """
    stored = network_cost(study.network, ranks.configuration, ranks.form, ranks.layer_forms)
    cost = {f"{form} form": network_cost(study.network, ranks.configuration, form) for form in FORMS}
    if ranks.layer_forms:
        cost = {"as stored": stored} | cost
    ratio, name = stored.compression_ratio, ranks.network.get("model", "")
    sections = [
        f"# {prose(name)}, {ratio:.2f}× smaller",
        f"A low-rank compressed copy of {code(name)}, out of the study {code(study.name)}: Tucker-2 for k×k "
        f"convolutions, truncated SVD for 1×1 convolutions and linear layers, in {ranks.forms_text}, float32. "
        f"Dense weights {code(ranks.network.get('weights', ''))}, checkpoint {file_bytes:,} bytes, "
        f"digest {code(digest)}.",
        "## What was measured",
        _rows(["network", "accuracy", "split", "images", "distance from dense"], _measured(ranks, dense)),
        _rows(
            ["", "dense", *(f"compressed, {form}" for form in cost)],
            [
                ["parameters", f"{study.network.params:,}", *(f"{c.params:,}" for c in cost.values())],
                ["MACs per image", f"{study.network.macs:,}", *(f"{c.macs:,}" for c in cost.values())],
                ["compression ratio", "1", *(f"{c.compression_ratio:.2f}×" for c in cost.values())],
                ["MAC ratio", "1", *(f"{c.mac_ratio:.2f}×" for c in cost.values())],
            ],
        ),
        "## Protocol",
        "\n".join(f"- {prose(sentence)}" for sentence in study.protocol),
        "## Ranks",
        _rows(["layer", "kernel", "ranks", "full ranks", "dense params", "params"], _layers(ranks, study.network)),
        "## How it was trained",
        _rows(["", ""], _training(ranks, study, record)),
        "## Take it up",
        *_again(name, classes, study, ranks),
        "The rank file (`ranks.json`):",
        fenced("json", ranks.to_text()),
        "The study's settings, every default written out:",
        fenced("json", json.dumps(study.settings, indent=2)),
    ]  # fmt: skip
    return "\n\n".join(sections) + "\n"


def _measured(ranks: RankFile, dense: Mapping[str, Measurement]) -> Iterable[list[str]]:
    for label, on in {"compressed": ranks.measured, **dense}.items():
        if on is not None:
            distance = "not finite" if on.distance is None else f"{on.distance:.4g}"
            yield [label, f"{on.accuracy:.2%}", on.split, f"{on.images:,}", distance]


def _layers(ranks: RankFile, network: NetworkSpec) -> Iterable[list[str]]:
    configuration: RankConfiguration = ranks.configuration
    for spec in network.layers:
        kernel = f"{spec.channels_out}×{spec.channels_in}"
        if spec.kind == "conv2d":
            kernel += f"×{spec.kernel[0]}×{spec.kernel[1]}"
        form = ranks.layer_forms.get(spec.name, ranks.form)
        params = layer_params(spec, configuration[spec.name], form)
        chosen, full = _ranks_text(configuration[spec.name]), "×".join(map(str, full_ranks(spec)))
        yield [code(spec.name), kernel, chosen, full, f"{spec.params:,}", f"{params:,}"]
    for left in network.left_dense:
        yield [code(left.name), prose(left.type), f"dense: {prose(left.reason)}", "", f"{left.params:,}", ""]


def _ranks_text(ranks: LayerRanks) -> str:
    return f"dense: {prose(ranks.reason)}" if isinstance(ranks, Dense) else "×".join(map(str, as_tuple(ranks)))


def _training(ranks: RankFile, study: StudyRecord, record: TrialRecord | None) -> Iterable[list[str]]:
    for title, value in (("schedule", ranks.schedule), ("recipe", ranks.recipe)):
        yield [title, ", ".join(f"{k} {code(str(v))}" for k, v in msgspec.structs.asdict(value).items())]
    for key, value in ranks.provenance.items():
        yield [prose(key), code(str(value))]
    if record is not None:
        yield ["training seed", str(record.seed)]
        yield ["training", f"{record.cost.images:,} images, {record.cost.seconds:.0f} s, origin {code(record.origin)}"]
    machine = record.machine if record else study.machine
    yield ["machine", f"{code(machine.device)}, {code(machine.processor)}, {machine.threads} threads"]
    yield ["precision while searching", code(machine.precision)]
    yield ["versions", ", ".join(f"{prose(k)} {code(v)}" for k, v in machine.versions.items())]
    yield ["fingerprints", ", ".join(f"{prose(k)} {code(v)}" for k, v in study.fingerprint.items())]


def _again(model: str, classes: int | None, study: StudyRecord, ranks: RankFile) -> Iterable[str]:
    """What loads the network and what repeats it: commands where the study has a file, else calls in a notebook."""
    number = ranks.provenance.get("trial")
    if not isinstance(number, int) or ranks.provenance.get("study") != study.name:
        number = None
    if study.settings["data"]["source"] == "given":
        lines = ["import ranksearch", "", "network = ...  # your own, as it was given to ranksearch.search"]
        lines.append('network = ranksearch.load(network, "model.safetensors")')
        if number is not None:
            lines += ["", "study = ranksearch.search(...)  # as it was called, which goes on with the study"]
            lines.append(f'study.export("ranks.json", select="trial={number}")')
        yield fenced("python", "\n".join(lines) + "\n")
        return
    arguments = study.settings["network"].get("arguments") or {}
    yield fenced(
        "python",
        "import ranksearch\nfrom ranksearch.networks import build_network\n\n"
        f"network = build_network({model!r}, classes={classes}, arguments={arguments!r})\n"
        'network = ranksearch.load(network, "model.safetensors")\n',
    )
    file = shlex.quote(" ".join(f"{study.name}.toml".split()))
    commands = [f"ranksearch evaluate model.safetensors --study {file}", f"ranksearch finetune {file} ranks.json"]
    if number is not None:
        chosen = f"ranksearch export {file} --select trial={number}"
        commands = [f"{chosen} -o ranks.json", f"{chosen} --to safetensors -o model.safetensors", *commands]
    yield fenced("sh", "\n".join(commands) + "\n")


def _rows(head: list[str], rows: Iterable[list[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def code(text: str) -> str:
    """A code span; a dash where there is no text."""
    return markdown.code(text) if text.split() else "–"

"""The section on layers: which can be compressed, which stay dense and why."""

from collections.abc import Sequence

from ..layers import LayerSpec, full_ranks
from .blocks import Block, Column, Section, Table, Text, per_study
from .study_view import StudyView
from .wording import count, percent, plural

FORMATS = {"tucker2": "Tucker-2", "svd": "SVD"}


def layers_section(views: Sequence[StudyView]) -> Section:
    """The layers of every study's network."""

    def blocks(view: StudyView, _: int) -> Sequence[Block]:
        network = view.study.network
        inside = sum(layer.params for layer in network.layers)
        intro = (
            f"{plural(len(network.layers), 'layer')} with {percent(inside / max(network.params, 1))} of the network's "
            f"{count(network.params)} parameters can be compressed. One image"
            + (f" of {'×'.join(map(str, network.input_shape))}" if network.input_shape else "")
            + f" takes {count(network.macs)} multiply-accumulates."
        )
        compressed, dense = layer_tables(view)
        return (Text(intro), *(table for table in (compressed, dense) if table.rows))

    return Section("layers", "Layers", per_study(views, blocks))


def layer_tables(view: StudyView) -> tuple[Table, Table]:
    """The layers that are compressed, and the modules left dense with their reasons."""
    network = view.study.network
    numbers = ("full ranks", "parameters", "share", "MACs")
    compressed = Table(
        (Column("layer", "name"), Column("kernel"), Column("format"), *(Column(title, "number") for title in numbers)),
        tuple(
            (
                layer.name,
                kernel_words(layer),
                FORMATS[layer.format],
                " × ".join(map(str, full_ranks(layer))),
                count(layer.params),
                percent(layer.params / max(network.params, 1)),
                count(layer.macs),
            )
            for layer in network.layers
        ),
        "Compressed",
    )
    dense = Table(
        (
            Column("layer", "name"),
            Column("type"),
            Column("parameters", "number"),
            Column("why it stays dense", "words"),
        ),
        tuple((left.name or "(itself)", left.type, count(left.params), left.reason) for left in network.left_dense),
        "Left dense",
    )
    return compressed, dense


def kernel_words(layer: LayerSpec) -> str:
    """
    >>> kernel_words(LayerSpec(name="c", kind="conv2d", channels_out=32, channels_in=16, kernel=(3, 3), stride=(2, 2)))
    '32 × 16 × 3 × 3, stride 2'
    """
    shape = (layer.channels_out, layer.channels_in, *(layer.kernel if layer.kind == "conv2d" else ()))
    stride = "×".join(map(str, dict.fromkeys(layer.stride)))
    return " × ".join(map(str, shape)) + ("" if layer.stride == (1, 1) else f", stride {stride}")

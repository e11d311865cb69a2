"""The section on layers."""

from ranksearch.layers import LayerSpec
from ranksearch.report.blocks import Text
from ranksearch.report.layers_section import kernel_words, layer_tables, layers_section
from ranksearch.report.study_view import StudyView


def test_every_layer_is_listed_with_its_fate(view: StudyView) -> None:
    compressed, dense = layer_tables(view)
    network = view.study.network
    assert [row[0] for row in compressed.rows] == list(network.names)
    assert compressed.rows[-1][1:4] == ("10 × 64", "SVD", "10")
    assert dense.rows == (("conv1", "Conv2d", "432", "excluded by the study file"),)


def test_the_share_that_can_be_compressed(view: StudyView) -> None:
    intro = layers_section([view]).blocks[0]
    assert isinstance(intro, Text)
    assert intro.text.startswith("19 layers with 99.3\xa0% of the network's 269,722 parameters")
    assert "3×32×32" in intro.text


def test_kernels_in_words() -> None:
    square = LayerSpec(name="c", kind="conv2d", channels_out=8, channels_in=4, kernel=(1, 3), stride=(2, 1))
    assert kernel_words(square) == "8 × 4 × 1 × 3, stride 2×1"
    assert kernel_words(LayerSpec(name="l", kind="linear", channels_out=8, channels_in=4)) == "8 × 4"

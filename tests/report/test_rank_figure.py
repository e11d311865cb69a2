"""The heat map of ranks."""

import numpy as np

from ranksearch.layers import Tucker2
from ranksearch.report.rank_figure import READABLE, rank_figure, rank_height, rank_map
from ranksearch.report.study_view import StudyView


def test_rows_are_modes_and_columns_the_front(view: StudyView) -> None:
    ranks = rank_map(view)
    modes = sum(len(spec.modes) for spec in view.study.network.layers)
    assert ranks.fraction.shape == (modes, len(view.front)) == (37, len(ranks.columns))
    assert ranks.rows[:2] == ("layer1.0.conv1 out", "layer1.0.conv1 in")
    assert ranks.rows[-1] == "linear rank"
    assert ranks.columns[0].endswith(f"#{view.front['number'].iloc[0]}")


def test_cells_are_fractions_of_the_full_rank(view: StudyView) -> None:
    ranks = rank_map(view)
    assert (ranks.fraction > 0).all()
    assert (ranks.fraction <= 1).all()
    number = view.front["number"].iloc[-1]
    record = next(t.record for t in view.history.trials if t.number == number)
    assert record is not None
    chosen = record.configuration["layer3.2.conv2"]
    assert isinstance(chosen, Tucker2)
    row = ranks.rows.index("layer3.2.conv2 out")
    assert ranks.fraction[row, -1] == chosen.rank_out / 64
    assert ranks.rank[row][-1] == str(chosen.rank_out)
    assert f"{chosen.rank_out} of 64" in ranks.hover[row][-1]


def test_dense_layers_are_full_and_say_why(view: StudyView) -> None:
    ranks = rank_map(view)
    dense = [(i, j) for i, row in enumerate(ranks.rank) for j, text in enumerate(row) if not text]
    assert dense
    assert all(ranks.fraction[cell] == 1 for cell in dense)
    assert all("dense: " in ranks.hover[i][j] for i, j in dense)


def test_names_are_shown_not_run(odd_views: dict[str, StudyView]) -> None:
    ranks = rank_map(odd_views["hostile"])
    figure = rank_figure(ranks)
    assert not any("<script" in text for row in ranks.hover for text in row)
    assert not any("<script" in name for name in figure.data[0].y)


def test_without_a_front_there_are_no_columns(odd_views: dict[str, StudyView]) -> None:
    ranks = rank_map(odd_views["empty"])
    assert ranks.fraction.shape == (37, 0)
    assert ranks.columns == ()


def test_numbers_are_written_only_where_there_is_room(view: StudyView) -> None:
    ranks = rank_map(view)
    wide = type(ranks)(
        ranks.rows,
        tuple(f"{n}" for n in range(READABLE + 1)),
        np.ones((37, READABLE + 1)),
        ((("1",) * (READABLE + 1)),) * 37,
        ((("",) * (READABLE + 1)),) * 37,
    )
    assert rank_figure(ranks).data[0].texttemplate == "%{text}"
    assert not rank_figure(wide).data[0].texttemplate
    assert rank_height(ranks) > 37 * 12

"""Which dense networks are refused."""

import pytest

from ranksearch.errors import DenseAccuracyError
from ranksearch.subject.subject import check_dense


@pytest.mark.parametrize(("classes", "images", "least"), [(10, 5000, 0.1127), (10, 500, 0.1402), (2, 128, 0.6326)])
def test_chance_is_left_by_three_standard_deviations(classes: int, images: int, least: float) -> None:
    check_dense(least + 1e-4, classes, images)
    with pytest.raises(DenseAccuracyError, match=rf"near chance .* for {classes} classes; at least {least:.2%} of"):
        check_dense(least - 1e-4, classes, images)


def test_what_the_study_expects_counts_besides() -> None:
    check_dense(0.9, 10, 500, expected=0.9)
    with pytest.raises(DenseAccuracyError, match=r"reaches 89\.00%.*expect_accuracy = 90\.00%"):
        check_dense(0.89, 10, 500, expected=0.9)
    check_dense(0.0, None, 500)  # targets are no classes: there is no chance to speak of

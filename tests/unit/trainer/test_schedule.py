"""Learning rate and moving average against nnU-Net's formulas."""

import math

import pytest

from nnunet_trainer.schedule import best, epochs_since_best, moving_average, number, poly_learning_rate

NAN = math.nan


@pytest.mark.parametrize(
    ("epoch", "epochs", "expected"),
    [(0, 1000, 0.01), (500, 1000, 0.01 * 0.5**0.9), (999, 1000, 0.01 * 0.001**0.9), (0, 1, 0.01)],
)
def test_learning_rate_is_nnunets(epoch: int, epochs: int, expected: float) -> None:
    assert poly_learning_rate(0.01, epoch, epochs) == pytest.approx(expected)


@pytest.mark.parametrize("epoch", [10, 11, 500])
def test_learning_rate_past_the_end_is_zero(epoch: int) -> None:
    rate = poly_learning_rate(0.01, epoch, 10)
    assert isinstance(rate, float) and rate == 0


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([0.5], 0.5),
        ([0.5, 0.7], 0.52),
        ([NAN], NAN),
        ([NAN, 0.4], 0.4),
        ([0.5, NAN, 0.7], 0.52),
    ],
)
def test_moving_average_steps_over_nan(values: list[float], expected: float) -> None:
    average = NAN
    for value in values:
        average = moving_average(average, value)
    assert average == pytest.approx(expected, nan_ok=True)


@pytest.mark.parametrize(
    ("values", "top", "since"),
    [([], None, None), ([NAN], None, None), ([0.1, 0.3, 0.2], 0.3, 1), ([0.3, NAN, 0.3], 0.3, 2), ([NAN, 0.1], 0.1, 0)],
)
def test_best(values: list[float], top: float | None, since: int | None) -> None:
    assert best(values) == top
    assert epochs_since_best(values) == since


def test_number_knows_no_nan() -> None:
    assert [number(value) for value in (None, NAN, math.inf, 0.25)] == [None, None, None, 0.25]

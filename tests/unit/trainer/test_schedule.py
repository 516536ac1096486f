"""Learning rate and moving average against nnU-Net's formulas."""

import math
from itertools import pairwise

import pytest

from nnunet_api.schedule import LearningRatePolicy
from nnunet_trainer.process.numbers import number
from nnunet_trainer.training.schedule import (
    annealed_learning_rate,
    best,
    epochs_since_best,
    learning_rate,
    moving_average,
    nonfinite_at_end,
    poly_learning_rate,
)

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


@pytest.mark.parametrize(
    ("losses", "expected"),
    [([], 0), ([0.5], 0), ([NAN], 1), ([0.1, NAN, math.inf], 2), ([NAN, 0.1], 0), ([NAN, 0.1, -math.inf], 1)],
)
def test_epochs_without_a_loss_count_from_the_end(losses: list[float], expected: int) -> None:
    assert nonfinite_at_end(losses) == expected


def test_number_knows_no_nan() -> None:
    assert [number(value) for value in (None, NAN, math.inf, 0.25)] == [None, None, None, 0.25]


@pytest.mark.parametrize(
    ("policy", "epoch", "expected"),
    [
        (LearningRatePolicy.POLY, 0, 0.01),
        (LearningRatePolicy.POLY, 50, 0.01 * 0.5**0.9),
        (LearningRatePolicy.POLY, 100, 0.0),
        (LearningRatePolicy.POLY, 101, 0.0),
        (LearningRatePolicy.COSINE, 0, 0.01),
        (LearningRatePolicy.COSINE, 50, 0.005),
        (LearningRatePolicy.COSINE, 100, 0.0),
        (LearningRatePolicy.COSINE, 150, 0.0),
        (LearningRatePolicy.POLY_WITH_WARMUP, 0, 0.001),
        (LearningRatePolicy.POLY_WITH_WARMUP, 9, 0.01),
        (LearningRatePolicy.POLY_WITH_WARMUP, 10, 0.01),
        (LearningRatePolicy.POLY_WITH_WARMUP, 55, 0.01 * 0.5**0.9),
        (LearningRatePolicy.POLY_WITH_WARMUP, 100, 0.0),
    ],
)
def test_policies(policy: LearningRatePolicy, epoch: int, expected: float) -> None:
    assert learning_rate(policy, 0.01, epoch, epochs=100, warmup=10) == pytest.approx(expected, abs=1e-12)


def test_annealing_goes_from_where_the_rate_is_to_zero() -> None:
    rates = [annealed_learning_rate(0.004, epoch, begin=30, end=40) for epoch in range(30, 41)]
    assert rates[0] == 0.004 and rates[-1] == 0.0
    assert all(earlier > later for earlier, later in pairwise(rates))

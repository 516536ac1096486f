"""Quantities."""

from decimal import Decimal

import pytest

from nnunet_operator.builders.quantity import amount, whole_cores


@pytest.mark.parametrize(
    ("text", "value"),
    [("8", 8), ("500m", Decimal("0.5")), ("1.5", Decimal("1.5")), ("2k", 2000), ("32Gi", 32 * 2**30), ("1M", 10**6)],
)
def test_amount(text: str, value: Decimal) -> None:
    assert amount(text) == value


@pytest.mark.parametrize(("cpu", "cores"), [("8", 8), ("2500m", 2), ("0.5", 1), ("100m", 1), ("1.9", 1), ("0", 1)])
def test_whole_cores(cpu: str, cores: int) -> None:
    assert whole_cores(cpu) == cores

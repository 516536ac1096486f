"""Kubernetes quantities, as far as `api.base.Quantity` admits them."""

from decimal import Decimal

_FACTORS = {
    "m": Decimal("0.001"),
    "k": Decimal(10**3),
    "M": Decimal(10**6),
    "G": Decimal(10**9),
    "T": Decimal(10**12),
    "Ki": Decimal(2**10),
    "Mi": Decimal(2**20),
    "Gi": Decimal(2**30),
    "Ti": Decimal(2**40),
}


def amount(quantity: str) -> Decimal:
    """Return the number that a quantity stands for: cores for "500m", bytes for "32Gi".

    Raises decimal.InvalidOperation for text that `api.base.Quantity` would have refused.
    """
    number = quantity.rstrip("mkMGTi")
    suffix = quantity[len(number) :]
    return Decimal(number) * (_FACTORS[suffix] if suffix else 1)


def whole_cores(cpu: str) -> int:
    """Return how many worker processes a CPU request feeds: its cores rounded down, at least 1."""
    return max(1, int(amount(cpu)))

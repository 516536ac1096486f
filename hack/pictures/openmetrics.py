"""Writes samples as OpenMetrics text. https://prometheus.io/docs/specs/om/open_metrics_spec/"""

import bisect
import math
from collections.abc import Iterator, Mapping, Sequence

Labels = Mapping[str, str]

SPREAD = 0.8
"""Standard deviation of the logarithm of values that are distributed log-normally."""


def sample(name: str, labels: Labels, value: float, moment: float) -> str:
    """Return one line; `moment` is a Unix time."""
    inside = ",".join(f'{key}="{text}"' for key, text in labels.items())
    return f"{name}{{{inside}}} {value:.10g} {moment:.0f}"


def histogram(
    name: str, labels: Labels, values: Sequence[float], bounds: Sequence[float], moment: float
) -> Iterator[str]:
    """Yield the lines of a histogram that has seen these values."""
    ordered = sorted(values)
    for bound in bounds:
        yield sample(f"{name}_bucket", {**labels, "le": str(bound)}, bisect.bisect_right(ordered, bound), moment)
    yield sample(f"{name}_bucket", {**labels, "le": "+Inf"}, len(values), moment)
    yield sample(f"{name}_count", labels, len(values), moment)
    yield sample(f"{name}_sum", labels, sum(values), moment)


def lognormal(
    name: str, labels: Labels, parts: Sequence[tuple[float, float]], bounds: Sequence[float], moment: float
) -> Iterator[str]:
    """Yield the lines of a histogram of values that are distributed log-normally.

    `parts` are a number of values and their median each, in the unit of the metric.
    """
    for bound in bounds:
        below = sum(
            count * (1 + math.erf(math.log(bound / median) / SPREAD / math.sqrt(2))) / 2 for count, median in parts
        )
        yield sample(f"{name}_bucket", {**labels, "le": str(bound)}, below, moment)
    total = sum(count for count, _ in parts)
    yield sample(f"{name}_bucket", {**labels, "le": "+Inf"}, total, moment)
    yield sample(f"{name}_count", labels, total, moment)
    mean = math.exp(SPREAD**2 / 2)
    yield sample(f"{name}_sum", labels, sum(count * median * mean for count, median in parts), moment)

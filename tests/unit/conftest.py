"""Properties are judged by what they say, not by how long a busy machine takes for one example."""

from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from tests.support import sizes

# The same examples in each run: a failure belongs to the change that brings it. A soak test finds others.
FIXED = not sizes.SOAK
settings.register_profile("here", deadline=None, derandomize=FIXED, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("here")

HERE = Path(__file__).parent
BUILT = (HERE / "chart", HERE / "monitoring" / "test_alerts.py", HERE / "monitoring" / "test_metrics_lint.py")
"""Run helm or promtool, which `make tools` builds and fetches; the rest needs the virtual environment alone."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what needs those programs, so that the rest can run before they are there."""
    for item in items:
        if any(item.path.is_relative_to(place) for place in BUILT):
            item.add_marker("built")

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


LONGEST = (
    HERE / "trainer" / "test_watchdog.py",
    HERE / "demo" / "test_picture.py",
    HERE / "cli" / "test_curves.py",
    HERE / "reconcile" / "test_properties.py",
    HERE / "trainer" / "test_preemption.py",
    HERE / "trainer" / "test_turn.py",
)
"""Files that come first, each as a whole in one process: shared out last, one would run on alone."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the longest files. Mark what needs those programs, so that the rest can run before they are there."""
    items.sort(key=lambda item: LONGEST.index(item.path) if item.path in LONGEST else len(LONGEST))
    for item in items:
        if any(item.path.is_relative_to(place) for place in BUILT):
            item.add_marker("built")

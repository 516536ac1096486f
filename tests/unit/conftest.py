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

HEAVY = (
    HERE / "trainer" / "test_watchdog.py",
    HERE / "demo" / "test_picture.py",
    HERE / "cli" / "test_curves.py",
    HERE / "trainer" / "test_cli.py",
    HERE / "trainer" / "test_preemption.py",
    HERE / "trainer" / "comparison" / "test_independent.py",
    HERE / "trainer" / "comparison" / "test_simulation.py",
    HERE / "cli" / "test_kubectl_completion.py",
    HERE / "demo" / "test_dataset.py",
    HERE / "cli" / "test_push.py",
    HERE / "cli" / "test_dataset_agreement.py",
    HERE / "trainer" / "test_compare.py",
)
"""Draw, resample, read many datasets or start programs: they run with those that are built, not in daily work."""

LONGEST = (*HEAVY, HERE / "core" / "test_properties.py", HERE / "trainer" / "test_turn.py")
"""Files that come first, each as a whole in one process: shared out last, one would run on alone."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the longest files. Mark what is built or heavy, so that the rest is fast and can run first."""
    items.sort(key=lambda item: LONGEST.index(item.path) if item.path in LONGEST else len(LONGEST))
    for item in items:
        for mark, places in (("built", BUILT), ("heavy", HEAVY)):
            if any(item.path.is_relative_to(place) for place in places):
                item.add_marker(mark)

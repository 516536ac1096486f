"""Which unit tests are fast, in which order they run, and what all of them are spared.

Properties are judged by what they say, not by how long a busy machine takes for one example.
"""

import gc
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from tests.support import sizes

# The same examples in each run: a failure belongs to the change that brings it. A soak test finds others.
FIXED = not sizes.SOAK
settings.register_profile("here", deadline=None, derandomize=FIXED, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("here")

# Modules, models and thousands of tests are there to the end: to look through them again and again for what nothing
# refers to any more was a quarter of the CPU time.
gc.disable()

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
    HERE / "trainer" / "test_compare_patients.py",
    HERE / "trainer" / "comparison" / "test_comparing.py",
    HERE / "benchmarks" / "test_schedules.py",
)
"""Draw, resample, read many datasets or start programs: they run with those that are built, not in daily work."""

DAILY, REST = "not built and not heavy", "built or heavy"
"""What `make test-unit` selects, and what `make test-heavy` does."""
MIXED = (HERE / "cli" / "test_helper_pod.py",)
"""Files with tests of both, which are marked there."""

LONGEST = (
    *HEAVY,
    HERE / "monitoring" / "test_alerts.py",
    HERE / "chart" / "test_values.py",
    HERE / "core" / "test_properties.py",
    HERE / "trainer" / "test_pools.py",
    HERE / "trainer" / "test_malloc.py",
    HERE / "trainer" / "test_truncation.py",
    HERE / "trainer" / "test_run_splits.py",
    HERE / "trainer" / "test_html_report.py",
    HERE / "test_ledger.py",
)
"""Files that come first, each as a whole in one process: shared out last, one would run on alone."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the longest files. Mark what is built or heavy, so that the rest is fast and can run first."""
    # By file, of which there are hundreds for thousands of tests.
    paths = {item.path for item in items}
    places = {path: LONGEST.index(path) if path in LONGEST else len(LONGEST) for path in paths}
    built, heavy = ({path for path in paths if _is_among(path, these)} for these in (BUILT, HEAVY))
    items.sort(key=lambda item: places[item.path])
    for item in items:
        for mark, marked in (("built", built), ("heavy", heavy)):
            if item.path in marked:
                item.add_marker(mark)


def pytest_collection_finish() -> None:
    """Look for garbage from here on, but only among what the tests make."""
    gc.freeze()
    gc.enable()


def _is_among(path: Path, places: tuple[Path, ...]) -> bool:
    return any(path.is_relative_to(place) for place in places)


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Spare each level the imports of files of which it runs nothing."""
    if not collection_path.name.startswith("test_"):
        return None
    apart = _is_among(collection_path, (*BUILT, *HEAVY))
    if config.option.markexpr == DAILY:
        return apart or None
    return (config.option.markexpr == REST and not apart and collection_path not in MIXED) or None

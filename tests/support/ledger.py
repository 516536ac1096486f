"""A pytest plugin that tells what the tests of a run took: `pytest -p tests.support.ledger`.

It prints the slowest tests, and warns of each that takes longer than tests of its level should: such a test is to be
made shorter, or its quantity is to go to `make test-soak`. It never fails a run.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pytest
    from _pytest.terminal import TerminalReporter

SHOWN = 25
CEILINGS = {"tests/e2e/": 60.0, "tests/integration/": 20.0}
"""Seconds that a test of a level may take by itself, without what it shares with others."""

Phases = Mapping[str, float]


class Ledger:
    """The seconds that each test took, by phase."""

    def __init__(self) -> None:
        self._took: dict[str, dict[str, float]] = {}

    def pytest_runtest_logreport(self, report: "pytest.TestReport") -> None:
        """Take note of a phase of a test, in whichever process it ran."""
        phases = self._took.setdefault(report.nodeid, {})
        phases[report.when or ""] = phases.get(report.when or "", 0.0) + report.duration

    def pytest_terminal_summary(self, terminalreporter: "TerminalReporter", config: "pytest.Config") -> None:
        """Print what is to be told."""
        from tests.support.sizes import SOAK

        if not self._took or config.getoption("collectonly"):
            return
        terminalreporter.section(f"slowest {SHOWN} of {len(self._took)} tests")
        for line in slowest(self._took):
            terminalreporter.write_line(line)
        for line in [] if SOAK else warnings(self._took):
            terminalreporter.write_line(line, yellow=True)


def slowest(took: Mapping[str, Phases]) -> list[str]:
    """Return a line for each of the slowest tests, the slowest first."""
    ordered = sorted(took, key=lambda test: -sum(took[test].values()))[:SHOWN]
    return [_line(test, took[test]) for test in ordered]


def _line(test: str, phases: Phases) -> str:
    shared = phases.get("setup", 0.0) + phases.get("teardown", 0.0)
    apart = f"  ({shared:.1f} s of it before and after)" if shared >= 1 else ""
    return f"{sum(phases.values()):7.1f} s  {test}{apart}"


def warnings(took: Mapping[str, Phases]) -> list[str]:
    """Return a warning for each test that took longer than its level allows, in the order of their names."""
    found = []
    for test in sorted(took):
        ceiling = next((seconds for level, seconds in CEILINGS.items() if test.startswith(level)), None)
        alone = took[test].get("call", 0.0)
        if ceiling is not None and alone > ceiling:
            found.append(
                f"warning: {test} took {alone:.0f} s, more than the {ceiling:.0f} s of its level: make it shorter, or "
                "let `make test-soak` do what is only more of the same (tests/support/sizes.py)"
            )
    return found


def pytest_configure(config: "pytest.Config") -> None:
    """Begin a ledger."""
    config.pluginmanager.register(Ledger(), "ledger of durations")

"""What is told of the durations of a run."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support import ledger

ROOT = Path(__file__).parents[2]


def test_the_slowest_come_first_and_what_is_shared_is_told() -> None:
    took = {"a": {"setup": 2.0, "call": 1.0, "teardown": 0.5}, "b": {"call": 9.0}, "c": {"setup": 0.1, "call": 0.2}}
    took |= {f"quick {number}": {"call": 0.01} for number in range(40)}
    lines = ledger.slowest(took)
    assert lines[:3] == ["    9.0 s  b", "    3.5 s  a  (2.5 s of it before and after)", "    0.3 s  c"]
    assert len(lines) == 25


@pytest.mark.parametrize(
    ("test", "phases", "warned"),
    [
        ("tests/integration/runtime/test_a.py::test_b", {"call": 20.1}, "took 20 s, more than the 20 s"),
        ("tests/integration/runtime/test_a.py::test_b", {"call": 19.9, "setup": 30.0}, ""),
        ("tests/e2e/test_a.py::test_b", {"call": 61.0}, "took 61 s, more than the 60 s"),
        ("tests/e2e/test_a.py::test_b", {"call": 59.0, "setup": 200.0}, ""),
        ("tests/unit/test_a.py::test_b", {"call": 500.0}, ""),
    ],
)
def test_a_test_that_takes_too_long_is_named(test: str, phases: dict[str, float], warned: str) -> None:
    found = ledger.warnings({test: phases})
    assert len(found) == bool(warned)
    assert all(test in line and warned in line and "make test-soak" in line for line in found)


def test_it_is_told_at_the_end_of_a_run(tmp_path: Path) -> None:
    """Also of what ran in other processes."""
    (tmp_path / "test_x.py").write_text("import time\ndef test_slow(): time.sleep(0.3)\ndef test_quick(): pass\n")
    command = [sys.executable, "-m", "pytest", "-p", "tests.support.ledger", "--numprocesses=1", "-q", "test_x.py"]
    # With no plugins but those that it needs, of which some take a second to import.
    command += ["-p", "xdist.plugin"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr
    told = done.stdout.split("slowest 25 of 2 tests")[1].splitlines()
    assert "s  test_x.py::test_slow" in told[1] and "s  test_x.py::test_quick" in told[2], done.stdout

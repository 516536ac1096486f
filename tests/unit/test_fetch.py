"""Downloads: a second try where the first one fails, and no third."""

import sys
from pathlib import Path

import pytest

from hack.fetch import fetch

COUNTING = """
import pathlib, sys, time
tries = pathlib.Path("tries")
number = len(tries.read_text()) if tries.exists() else 0
tries.write_text("x" * (number + 1))
time.sleep(float(sys.argv[2]))
print("no route to the mirror", file=sys.stderr)
sys.exit(number < int(sys.argv[1]))
"""


@pytest.mark.parametrize(("failures", "code", "tries"), [(0, 0, 1), (1, 0, 2), (9, 1, 2)])
def test_a_download_is_tried_twice(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], failures: int, code: int, tries: int
) -> None:
    command = [sys.executable, "-c", COUNTING, str(failures), "0"]
    assert fetch(command, cwd=tmp_path, pause=0).returncode == code
    assert len((tmp_path / "tries").read_text()) == tries
    assert ("no route to the mirror" in capsys.readouterr().err) == (tries > 1), "why there was a second one is said"


def test_one_that_hangs_is_tried_twice(tmp_path: Path) -> None:
    done = fetch([sys.executable, "-c", COUNTING, "0", "60"], cwd=tmp_path, timeout=1, pause=0)
    assert (done.returncode, done.stderr) == (124, "not done after 1 s")

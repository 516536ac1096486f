"""Downloads: a second try where the first one fails, and no third."""

from pathlib import Path

import pytest

from hack.fetch import fetch

COUNTING = """
printf x >> tries
echo 'no route to the mirror' >&2
test "$(wc -c < tries)" -gt "$1"
"""


@pytest.mark.parametrize(("failures", "code", "tries"), [(0, 0, 1), (1, 0, 2), (9, 1, 2)])
def test_a_download_is_tried_twice(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], failures: int, code: int, tries: int
) -> None:
    command = ["sh", "-c", COUNTING, "sh", str(failures)]
    assert fetch(command, cwd=tmp_path, pause=0).returncode == code
    assert len((tmp_path / "tries").read_text()) == tries
    assert ("no route to the mirror" in capsys.readouterr().err) == (tries > 1), "why there was a second one is said"


def test_one_that_hangs_is_tried_twice(capsys: pytest.CaptureFixture[str]) -> None:
    done = fetch(["sleep", "60"], timeout=0.05, pause=0)
    assert (done.returncode, done.stderr) == (124, "not done after 0.05 s")
    assert "sleep failed with exit code 124 and is tried once more: not done" in capsys.readouterr().err

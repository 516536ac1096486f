"""One makes what several want; a holder that shows no sign of life is named and passed by."""

import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from nnunet_trainer.process.turn import turn

HOLDER = """
import sys, time
from pathlib import Path
from nnunet_trainer.process import turn
turn.BEAT_SECONDS = float(sys.argv[2])
with turn.turn(Path(sys.argv[1]), "test", "planning of ns/other in pod other-plan-x"):
    print("held", flush=True)
    time.sleep(600)
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "key.lock"


@pytest.fixture
def holder(path: Path, request: pytest.FixtureRequest) -> Iterator[subprocess.Popen[str]]:
    """A process that holds the lock and beats as often as the test asks."""
    command = [sys.executable, "-c", HOLDER, str(path), str(request.param)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None and process.stdout.readline() == "held\n"
        yield process
        process.kill()


@pytest.mark.parametrize("holder", [600.0], indirect=True)
def test_a_holder_without_a_sign_of_life_is_named_and_passed_by(
    path: Path, holder: subprocess.Popen[str], caplog: pytest.LogCaptureFixture
) -> None:
    with turn(path, "test", "me", patience_seconds=0.5) as alone:
        assert not alone
    assert "held by planning of ns/other in pod other-plan-x, which has shown no sign of life" in caplog.text
    assert holder.poll() is None


@pytest.mark.parametrize("holder", [0.05], indirect=True)
def test_a_holder_that_lives_is_waited_for(path: Path, holder: subprocess.Popen[str]) -> None:
    threading.Timer(3.0, holder.kill).start()
    start = time.monotonic()
    with turn(path, "test", "me", patience_seconds=2.0) as alone:  # 40 beats
        assert alone
    assert time.monotonic() - start > 2.5, "it was not waited for"


def test_the_lock_is_free_afterwards_and_holds_meanwhile(path: Path) -> None:
    for _ in range(2):
        with turn(path, "test", "me") as alone:
            assert alone
            assert path.read_text() == "me"

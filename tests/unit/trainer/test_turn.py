"""One makes what several want; a holder that shows no sign of life is named and passed by."""

import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest

from nnunet_trainer.process import files
from nnunet_trainer.process import turn as turns
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
SILENT_SECONDS = 20.0
"""A holder that lives beats more often, on whichever machine."""


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


@pytest.fixture(autouse=True)
def looks_often(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who waits looks a hundred times a second whether it is his turn."""
    monkeypatch.setattr(files, "_LOOK_SECONDS", 0.01)


@pytest.mark.parametrize("holder", [600.0], indirect=True)
def test_a_holder_without_a_sign_of_life_is_named_and_passed_by(
    path: Path, holder: subprocess.Popen[str], caplog: pytest.LogCaptureFixture
) -> None:
    with turn(path, "test", "me", patience_seconds=0.5) as alone:
        assert not alone
    assert "held by planning of ns/other in pod other-plan-x, which has shown no sign of life" in caplog.text
    assert holder.poll() is None


class Beats:
    """A clock that goes on with the beats of a holder, whom it kills after some: slow machines have slow clocks.

    Of a holder that beats no more the time goes on by itself.
    """

    def __init__(self, path: Path, holder: subprocess.Popen[str], last: int) -> None:
        self._path, self._holder, self._last = path, holder, last
        self._seen = 0
        self.beats = 0
        self._beat_at = time.monotonic()

    def monotonic(self) -> float:
        if (sign := self._path.stat().st_mtime_ns) != self._seen:
            self._seen, self.beats, self._beat_at = sign, self.beats + 1, time.monotonic()
        if self.beats >= self._last:
            self._holder.kill()
        silent = time.monotonic() - self._beat_at
        return self.beats + (silent if silent > SILENT_SECONDS else 0.0)


@pytest.mark.parametrize("holder", [0.005], indirect=True)
def test_a_holder_that_lives_is_waited_for(
    path: Path, holder: subprocess.Popen[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = Beats(path, holder, last=30)
    monkeypatch.setattr(turns, "time", SimpleNamespace(monotonic=clock.monotonic))
    with turn(path, "test", "me", patience_seconds=10) as alone:
        assert alone
    assert clock.beats >= 30, "it was not waited for"


def test_the_lock_is_free_afterwards_and_holds_meanwhile(path: Path) -> None:
    for _ in range(2):
        with turn(path, "test", "me") as alone:
            assert alone
            assert path.read_text() == "me"

"""A training that is killed at many instants, started again each time as its Job would, and checked at each step."""

import contextlib
import os
import random
import signal
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from nnunet_api.exit_codes import ExitCode
from nnunet_trainer.run.journal import Journal
from nnunet_trainer.run.paths import FINAL
from tests.kill.moments import (
    EVALUATE,
    FINAL_CHECKPOINT,
    PATIENCE_SECONDS,
    TRAIN,
    VERIFY,
    WHILE_EVALUATING,
    WHILE_TRAINING,
    WHILE_VALIDATING,
    Attempt,
    Moment,
    stamps,
)
from tests.trainer.world import World

SIGNALS = (signal.SIGKILL, signal.SIGTERM)
ENOUGH_MISSES = 20
"""Attempts that ended before their moment; more of them in a row say that the moments are wrong."""
REST_SECONDS = 30
"""Within that time the kernel has ended what was sent SIGKILL, however busy the machine is."""


@dataclass(frozen=True)
class Kills:
    """How many kills come when."""

    training: int
    final: int
    validating: int
    evaluating: int

    @classmethod
    def share_out(cls, total: int) -> "Kills":
        """Return the default shares: most of them while it trains."""
        final, validating, evaluating = total // 12, total // 8, total // 5
        return cls(total - final - validating - evaluating, final, validating, evaluating)

    @property
    def total(self) -> int:
        """All of them."""
        return self.training + self.final + self.validating + self.evaluating


class KilledRun:
    """One run under fire."""

    def __init__(
        self, world: World, seed: int, epoch_seconds: float, say: Callable[[str], None] = lambda line: None
    ) -> None:
        self.world = world
        self.cut_short = 0
        """Kills that left a part of a file behind: they came in the middle of a write."""
        self._random = random.Random(seed)
        self._epoch_seconds = epoch_seconds
        self._say = say
        self._kills = 0
        self._last_end = 0.0

    def survive(self, kills: Kills) -> None:
        """Kill it as often as asked, then let it come to its end."""
        # What a phase has no room for comes in the next one; an evaluation can be begun as often as one likes.
        missing = self._phase(kills.training, WHILE_TRAINING)
        final = self.world.fold() / FINAL
        missing = self._phase(kills.final + missing, [FINAL_CHECKPOINT], over=final.exists)
        missing = self._phase(kills.validating + missing, WHILE_VALIDATING)
        self._finish(*TRAIN)
        if kills.evaluating + missing == 0:
            return
        self._finish(*VERIFY)
        left, misses = kills.evaluating + missing, 0
        while left:
            if self._kill(self._random.choice(WHILE_EVALUATING)):
                left, misses = left - 1, 0
            else:
                misses += 1
                assert misses < ENOUGH_MISSES, "evaluations end before they can be killed"
        self._finish(*EVALUATE)

    def _phase(self, kills: int, moments: Sequence[Moment], over: Callable[[], bool] = lambda: False) -> int:
        """Kill at moments of one phase until it is over; return how many kills it had no room for."""
        for done in range(kills):
            if over() or not self._kill(self._random.choice(moments)):
                return kills - done
        return 0

    def _kill(self, moment: Moment) -> bool:
        """Start an attempt and kill it at its moment; return False when it ended before."""
        before = self.world.journal()
        number = self._random.choice(SIGNALS)
        found = stamps(self.world.run, "*")
        command = self.world.start(*moment.arguments)
        attempt = Attempt(self.world, command, before.begun, found, self._random, self._epoch_seconds)
        if not moment.come(attempt):
            ended = command.end(PATIENCE_SECONDS)
            assert ended.code == 0, ended.log
            self._look_back(before)
            return False
        ended = command.kill(number)
        if number == signal.SIGKILL:
            self._kill_the_rest()
        # Before the handler stands the default action ends the process; and one that is about to end ends well.
        expected = {-number} if number == signal.SIGKILL else {ExitCode.PREEMPTED, -number}
        assert ended.code in expected | {0}, f"exit code {ended.code} {moment.name}:\n{ended.log}"
        self._kills += 1
        parts = [path.name for path, _ in stamps(self.world.run, ".tmp-*") - found]
        self.cut_short += bool(parts)
        self._look_back(before)
        after = self.world.journal()
        self._say(
            f"{self._kills}: {number.name} {moment.name}; epoch {after.begun}, {after.lost_epochs} lost in all"
            + (f", in the middle of {', '.join(parts)}" if parts else "")
        )
        return True

    def _finish(self, *arguments: str) -> None:
        before = self.world.journal()
        ended = self.world.finish(*arguments, seconds=PATIENCE_SECONDS)
        assert ended.code == 0, ended.log
        self._look_back(before)

    def _kill_the_rest(self) -> None:
        """Kill what an attempt that was killed leaves, as the end of PID 1 does in the pod."""
        deadline = time.monotonic() + REST_SECONDS
        while left := self.world.processes():
            assert time.monotonic() < deadline, f"processes are left after {REST_SECONDS} s: {left}"
            for pid in left:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            time.sleep(0.01)

    def _look_back(self, before: Journal) -> None:
        """Check what an attempt left behind, which has just ended."""
        after = self.world.journal()
        lost = after.lost_epochs - before.lost_epochs
        assert lost <= 1, f"{lost} epochs were lost by one kill"
        assert after.attempts - before.attempts <= 1, "two attempts at once"
        if after.attempts > before.attempts:
            assert after.began is not None and after.began >= self._last_end, "began before the last attempt ended"
        assert not self.world.processes(), "processes are left"
        self._last_end = time.time()

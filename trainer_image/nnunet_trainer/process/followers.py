"""The processes that train a fold together with the trainer's own, and what they say when they fail. No torch here."""

import contextlib
import logging
import os
import sys
import traceback
from collections.abc import Callable, Sequence
from multiprocessing.context import SpawnProcess
from pathlib import Path
from typing import Any

from nnunet_api.exit_codes import ExitCode
from nnunet_trainer.process.failures import UNEXPECTED, Failure, classify
from nnunet_trainer.process.processes import kill_descendants

log = logging.getLogger(__name__)


class Follower(SpawnProcess):
    """One of them: rank 1 or above. The trainer's own process, rank 0, starts it and learns from it how it failed."""

    def __init__(
        self,
        rank: int,
        world: int,
        follow: Callable[..., None],
        arguments: Sequence[Any],
        folder: Path,
        volumes: Sequence[Path] = (),
        read_only: Sequence[Path] = (),
    ) -> None:
        """It calls `follow(rank, *arguments)`.

        `folder` is one that it shares with rank 0; `volumes` and `read_only` are as for `classify`.
        """
        super().__init__(target=follow, name=f"rank {rank}", args=(rank, *arguments))
        self._described = f"rank {rank} of the {world} processes that train this fold together"
        self._last_words = folder / f"rank-{rank}.txt"
        self._volumes, self._read_only = tuple(volumes), tuple(read_only)

    def run(self) -> None:
        """Work, and end with the exit code of the failure where there is one."""
        try:
            super().run()
        except Exception as error:
            traceback.print_exc()
            failure = classify(error, self._volumes, self._read_only)
            log.error("%s", failure.message)
            with contextlib.suppress(OSError):
                self._last_words.write_text(failure.message, encoding="utf-8")
            kill_descendants()
            sys.stdout.flush()
            # As the trainer itself ends; and the others learn of it by the end of their connections to this one.
            os._exit(failure.code)

    def failure(self) -> Failure:
        """Return the failure of one that has ended with an exit code above 0."""
        code = self.exitcode or UNEXPECTED
        try:
            message = self._last_words.read_text(encoding="utf-8")
        except (OSError, ValueError):
            message = f"it ended with exit code {code} without a word. The log of this pod may say more"
        return Failure(code if code in set(ExitCode) else UNEXPECTED, f"{self._described}: {message}")

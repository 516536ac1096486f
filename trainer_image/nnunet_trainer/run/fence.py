"""Keeps an attempt that was given up for dead from writing into a run that another attempt goes on with.

A lock can be lost without its holder's knowledge: a node that was cut off from a network file system wakes up and
believes that it still holds it. So every attempt leaves its token in the fold's folder, an
evaluation in the run's, and whoever writes looks first
whether the token is still its own: before the work, and again right before a rename, since a write may hang in between
for as long as the node does. What is not renamed yet has the token in its name, so that two attempts never write into
the same file. What remains is a node that hangs between that look and the rename: it puts an older file, but a whole
one, in the place of a newer.
"""

import secrets
from pathlib import Path

from nnunet_api.exit_codes import ExitCode
from nnunet_trainer.process.failures import TrainerError
from nnunet_trainer.process.files import remove_temporary_files, temporary_path, write_atomically

FENCE_FILE = ".attempt"
TOKEN_DIGITS = 16
"""Hexadecimal digits of an attempt's token."""


class Fence:
    """The right of one attempt to write into a fold's folder, or of an evaluation to write into the run's."""

    def __init__(self, folder: Path) -> None:
        """Take the right over from whoever had it, and remove what that one was writing."""
        self._path = folder / FENCE_FILE
        self._token = secrets.token_hex(TOKEN_DIGITS // 2)
        write_atomically(self._path, self._token, owner=self._token)
        # Nobody goes on with these. One may even be a second name of a checkpoint (checkpoints.link_checkpoint).
        remove_temporary_files(folder)

    def check(self) -> None:
        """Raise TrainerError with PREEMPTED when another attempt has taken over."""
        try:
            token = self._path.read_text(encoding="utf-8")
        except FileNotFoundError:
            token = ""
        if token != self._token:
            raise TrainerError(
                ExitCode.PREEMPTED,
                f"another attempt has taken over {self._path.parent}, or the folder was removed; this one writes "
                "nothing more",
            )

    def temporary(self, path: Path) -> Path:
        """Return where this attempt, and no other, writes a file before it is renamed to `path`."""
        return temporary_path(path, self._token)

    def write(self, path: Path, text: str, durable: bool = True) -> None:
        """Write a small file atomically. Raises TrainerError with PREEMPTED when another attempt has taken over."""
        write_atomically(path, text, durable, self._token, self.check)

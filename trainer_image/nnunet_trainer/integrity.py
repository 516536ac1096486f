"""nnU-Net's own verification of a dataset's contents, with its findings in the error message."""

import contextlib
import logging
import os
import re
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from nnunet_trainer.failures import STORAGE_ERRNOS, one_line, wrong_data
from nnunet_trainer.heartbeat import heartbeat

log = logging.getLogger(__name__)

_FINDING = re.compile(r"^(Error: .*|Images contain NaN.*|Segmentation contains NaN.*)$", re.MULTILINE)
_FINDINGS_NAMED = 3


def verify_integrity(folder: Path, processes: int) -> None:
    """Read every image and label: shapes, spacings, label values, NaN.

    Raises TrainerError with WRONG_DATA and the first findings.
    """
    from nnunetv2.experiment_planning.verify_dataset_integrity import verify_dataset_integrity

    with tempfile.TemporaryFile() as output:
        try:
            with heartbeat("verifying the dataset"), _stdout_to(output.fileno()):
                verify_dataset_integrity(str(folder), processes)
        except Exception as error:
            if isinstance(error, OSError) and error.errno in STORAGE_ERRNOS:
                raise
            text = _text(output.fileno())
            raise wrong_data(
                f"nnU-Net's verification refuses {folder.name}: {findings(text) or one_line(str(error))[:1500]}"
            ) from error
        finally:
            sys.stdout.write(_text(output.fileno()))
            sys.stdout.flush()


def findings(text: str) -> str:
    """Return the first findings in what the verification printed, one after the other.

    nnU-Net prints a finding as a line or a paragraph: what follows up to an empty line belongs to it.
    """
    found = []
    for match in _FINDING.finditer(text):
        paragraph = text[match.start() :].split("\n\n", 1)[0]
        following = _FINDING.search(paragraph, len(match.group(0)))
        found.append(one_line(paragraph[: following.start()] if following else paragraph)[:600])
    rest = len(found) - _FINDINGS_NAMED
    more = f" (and {rest} more in the log of this pod)" if rest > 0 else ""
    return "; ".join(found[:_FINDINGS_NAMED]) + more


@contextlib.contextmanager
def _stdout_to(target: int) -> Iterator[None]:
    """Send the standard output of this process and of its workers to a file."""
    sys.stdout.flush()
    saved = os.dup(1)
    os.dup2(target, 1)
    try:
        yield
    finally:
        sys.stdout.flush()
        os.dup2(saved, 1)
        os.close(saved)


def _text(fd: int) -> str:
    return os.pread(fd, 1 << 22, 0).decode(errors="replace")

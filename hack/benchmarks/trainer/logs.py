"""What a training's log by nnU-Net tells, and the memory of its processes."""

import itertools
import os
import re
from datetime import datetime
from pathlib import Path

from nnunet_trainer.process.processes import descendants

LAST_LINE = "Training done."
"""nnU-Net's line after the last epoch; what follows is the validation on full volumes."""
_LOG_LINE = re.compile(r"^(\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d+): (.*?)\s*$", re.MULTILINE)


def epoch_seconds(log: str) -> list[float]:
    """Return how long each epoch took by nnU-Net's log, up to the beginning of the next one."""
    marks = [
        datetime.fromisoformat(moment)
        for moment, words in _LOG_LINE.findall(log)
        if re.fullmatch(r"Epoch \d+", words) or words.startswith(LAST_LINE)
    ]
    return [(after - before).total_seconds() for before, after in itertools.pairwise(marks)]


def between_seconds(log: str) -> list[float]:
    """Return the part of each epoch that nnU-Net's own "Epoch time" leaves out: what follows its last batch."""
    batches = [float(words.split()[2]) for _, words in _LOG_LINE.findall(log) if words.startswith("Epoch time:")]
    return [whole - part for whole, part in zip(epoch_seconds(log), batches, strict=True)]


def training_losses(log: str) -> list[str]:
    """Return the training loss of each epoch by nnU-Net's log."""
    return [words.split()[-1] for _, words in _LOG_LINE.findall(log) if words.startswith("train_loss")]


def rss_mib(pid: int) -> float:
    """Return the resident memory of a process and all below it."""
    pages = 0
    for process in (pid, *descendants(pid)):
        try:
            pages += int(Path(f"/proc/{process}/statm").read_text().split()[1])
        except OSError:
            # It has just ended.
            continue
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20

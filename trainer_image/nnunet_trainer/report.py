"""The termination message: one line of JSON that Kubernetes keeps and the operator reads."""

import os
from pathlib import Path

from nnunet_operator.api.contract import TERMINATION_LOG, TERMINATION_LOG_LIMIT, TerminationReport

TERMINATION_LOG_ENV = "NNUNET_RUN_TERMINATION_LOG"
"""Another path for the termination message, where there is no container runtime."""


def encode(report: TerminationReport, limit: int = TERMINATION_LOG_LIMIT) -> bytes:
    """Return the report as one line of at most `limit` bytes.

    What does not fit goes in this order: classes of the test Dice from the end, then the end of the message.
    """
    line = _line(report)
    if len(line) <= limit:
        return line
    if report.evaluation is not None and report.evaluation.test_per_class:
        # A class costs at least 8 bytes, so this drops no more than needed plus a few.
        keep = max(0, len(report.evaluation.test_per_class) - max(1, (len(line) - limit) // 64))
        classes = dict(list(report.evaluation.test_per_class.items())[:keep])
        evaluation = report.evaluation.model_copy(update={"test_per_class": classes})
        return encode(report.model_copy(update={"evaluation": evaluation}), limit)
    if report.message:
        # Every character costs at least one byte; the loop ends because the message gets shorter.
        excess = max(2, (len(line) - limit) // 4)
        message = report.message[: max(0, len(report.message) - excess)].rstrip("…")
        return encode(report.model_copy(update={"message": message + "…" if message else ""}), limit)
    raise ValueError(f"the report does not fit into {limit} bytes even without a message")


def write(report: TerminationReport) -> None:
    """Write the termination message. Failing to do so must not hide the exit code: it is only noted on stderr."""
    path = Path(os.environ.get(TERMINATION_LOG_ENV, TERMINATION_LOG))
    try:
        path.write_bytes(encode(report))
    except (OSError, ValueError) as error:
        os.write(2, f"the termination message could not be written to {path}: {error}\n".encode())


def _line(report: TerminationReport) -> bytes:
    return report.model_dump_json(by_alias=True, exclude_none=True).encode()

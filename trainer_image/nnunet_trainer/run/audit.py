"""policy.jsonl in the run folder: under which decisions of the policies the pods of a run worked, one a line."""

import json
import os
import stat
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

from nnunet_api.contract import POLICY_FILE, PolicyRecord, RunContract
from nnunet_api.exit_codes import ExitCode
from nnunet_trainer.process.failures import TrainerError
from nnunet_trainer.process.files import Locked, fsync_folder, lock

LOCK_FILE = ".policy.lock"
LOCK_TIMEOUT_SECONDS = 60.0
"""How long a pod waits for others that write their line, which takes milliseconds."""
_TAIL_BYTES = 1 << 20
"""As much of the end of the file is looked at for the last line of a stage. A line has at most 200 kB or so."""


def record(contract: RunContract, folder: Path, stage: str) -> None:
    """Note the policies' decision under which a stage begins, unless its last line says so already.

    Raises TrainerError with PREEMPTED where another pod does not let go of the file, OSError where it can't be written:
    what can't be recorded does not begin.
    """
    if contract.policy is None:
        return
    line = PolicyRecord(
        time=datetime.now(UTC),
        namespace=contract.namespace,
        name=contract.name,
        uid=contract.uid,
        stage=stage,
        policy=contract.policy,
    )
    try:
        # The folds' pods begin at the same time, and NFS has no atomic append.
        with lock(folder / LOCK_FILE, f"writing {POLICY_FILE}", LOCK_TIMEOUT_SECONDS):
            _append(folder / POLICY_FILE, line)
    except Locked as error:
        raise TrainerError(
            ExitCode.PREEMPTED, f"{folder / POLICY_FILE} can't be written ({error}); trying again later"
        ) from error


def records(content: bytes) -> Iterator[PolicyRecord]:
    """Yield the lines that can be read: one that a full disk or a kill cut short says nothing."""
    for line in content.split(b"\n"):
        try:
            yield PolicyRecord.model_validate_json(line)
        except ValueError:
            continue


def _append(path: Path, line: PolicyRecord) -> None:
    # Not through a link: the image of the training can write here, and `verify` trusts it with nothing.
    fd = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW, 0o666)
    try:
        if not stat.S_ISREG(os.fstat(fd).st_mode):
            raise TrainerError(ExitCode.STORAGE_FAILED, f"{path} is not a file: remove it")
        size = os.fstat(fd).st_size
        tail = os.pread(fd, _TAIL_BYTES, max(0, size - _TAIL_BYTES))
        before = [known for known in records(tail) if known.stage == line.stage][-1:]
        if before and (before[0].uid, _stated(before[0])) == (line.uid, _stated(line)):
            return
        # Escaped to ASCII: some readers take other characters than \n for the end of a line.
        text = json.dumps(line.to_json_dict(), separators=(",", ":")) + "\n"
        data = (b"" if tail.endswith(b"\n") or not tail else b"\n") + text.encode("ascii")
        if os.write(fd, data) < len(data):
            raise TrainerError(ExitCode.STORAGE_FAILED, f"{path} could not be written whole: the volume is full")
        os.fsync(fd)
        if not size:
            fsync_folder(path.parent)
    except OSError as error:
        error.filename = error.filename or str(path)
        raise
    finally:
        os.close(fd)


def _stated(line: PolicyRecord) -> object:
    return line.policy.to_json_dict()

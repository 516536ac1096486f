"""The folder on the results claim through which images are sent and segmentations fetched, and what lies in it."""

import json
import os
import re
import secrets
from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from typing import Any

from nnunet_api.labels import short_name
from nnunet_api.prediction import RECORD_FILE, PredictionRecord
from nnunet_cli.datasets.transfer import LocalFile, push, sha256_of
from nnunet_cli.errors import CliError, ExitCode
from nnunet_cli.text.progress import Progress, bar
from nnunet_cli.volumes.access import Volume
from nnunet_cli.volumes.hashes import hashes_of

IMAGES, SEGMENTATIONS = "images", "segmentations"
_BLOCK = 1 << 20
_MOST_MIB = 16
"""Of a dataset.json, and of what says by what was predicted."""


def work_folder(run: str, training: str, key: str) -> str:
    """Return the folder of a prediction, beside that of the run.

    It ends as the folders of runs do, so that no training may read it as a dataset, and has a _, which no name has.
    """
    return str(PurePosixPath(parent_of(run)) / f"{_begin(training)}{key}")


def parent_of(run: str) -> str:
    """Return the folder in which predictions by a training have theirs."""
    return str(PurePosixPath(run).parent)


def key_of_folder(name: str, training: str) -> str:
    """Return the key of the prediction whose folder has this name; empty for that of another training, or of none."""
    found = re.fullmatch(re.escape(_begin(training)) + "(f[0-9a-f]{7})", name)
    return found[1] if found else ""


def _begin(training: str) -> str:
    return f"predictions_{short_name(training, 200)}-"


def folders_beside(volume: Volume, parent: str) -> list[dict[str, Any]]:
    """Return what the agent tells of the folders of predictions, of all trainings."""
    with volume.run("predictions", parent) as remote:
        return list(remote.messages())


def read_json(volume: Volume, path: str) -> Any:
    """Return the contents of a small JSON file; None where there is none. Raises CliError."""
    with volume.run("send", path) as remote:
        head = remote.message()
        if "missing" in head:
            return None
        if head["size"] > _MOST_MIB << 20:
            raise CliError(f"{path} has {head['size'] >> 20} MiB: nothing of ours is so large", ExitCode.FOUND)
        data = remote.read(head["size"])
    try:
        return json.loads(data)
    except (ValueError, RecursionError) as error:
        raise CliError(f"{path} on the claim is no JSON: {error}. Restore or remove it", ExitCode.FOUND) from None


def do(volume: Volume, command: str, folder: str) -> None:
    """Have a command of the agent done that answers nothing. Raises CliError."""
    with volume.run(command, folder) as remote:
        remote.messages()


def names_in(volume: Volume, folder: str) -> list[str]:
    """Return the names of the files in a folder, from there on."""
    with volume.run("sizes", folder) as remote:
        return [str(one["path"]) for one in remote.messages()]


def send(volume: Volume, folder: str, files: Sequence[LocalFile]) -> None:
    """Send the images: what is there with the right SHA-256 is skipped."""
    do(volume, "make", f"{folder}/{SEGMENTATIONS}")
    do(volume, "make", f"{folder}/{IMAGES}")
    with bar(sum(file.size for file in files)) as progress:
        push(volume, f"{folder}/{IMAGES}", files, progress)


def hashes_of_files(files: Sequence[LocalFile]) -> dict[str, str]:
    """Return the SHA-256 of files on this machine, by their names."""
    with bar(sum(file.size for file in files)) as progress:
        found = {}
        for file in files:
            found[file.name] = sha256_of(file.path)
            progress(file.size)
        return found


def is_done(volume: Volume, folder: str, asked_for: str, cases: Sequence[str], ending: str) -> bool:
    """Tell whether all that was asked for lies in a folder of segmentations."""
    content = read_json(volume, f"{folder}/{RECORD_FILE}")
    try:
        record = PredictionRecord.model_validate(content)
    except ValueError:
        return False
    if record.asked_for != asked_for or set(record.cases) != set(cases):
        return False
    return {f"{case}{ending}" for case in cases} <= set(names_in(volume, folder))


def fetch(volume: Volume, folder: str, cases: Sequence[str], ending: str, target: Path) -> list[str]:
    """Fetch the segmentations of these cases, each whole or not at all; return their names.

    Nothing else is taken from the folder: a name that somebody has put there could be that of any file here.
    Raises CliError.
    """
    with volume.run("sizes", folder) as remote:
        there = {str(one["path"]): int(one["size"]) for one in remote.messages()}
    wanted = [f"{case}{ending}" for case in cases]
    if missing := [name for name in wanted if name not in there]:
        words = f"{len(missing)} segmentations are no longer on the claim, such as {missing[0]}"
        raise CliError(f"{words}: call it again, and they are made again", ExitCode.FOUND)
    beside = [name for name in (*(f"{case}.json" for case in cases), RECORD_FILE) if name in there]
    names = [*wanted, *dict.fromkeys(beside)]
    known = dict(zip(names, hashes_of(volume, folder, names), strict=True))
    with bar(sum(there[name] for name in names)) as progress:
        for name in names:
            _fetch_one(volume, f"{folder}/{name}", target / name, known[name], progress)
    return wanted


def _fetch_one(volume: Volume, source: str, target: Path, sha256: str | None, progress: Progress) -> None:
    part = target.with_name(f".{target.name}.{secrets.token_hex(4)}.part")
    try:
        with volume.run("send", source) as remote, part.open("wb") as file:
            head = remote.message()
            if "missing" in head:
                raise CliError(f"{source} is no longer on the claim: call it again", ExitCode.FOUND)
            left = int(head["size"])
            while left:
                block = remote.read(min(_BLOCK, left))
                left -= len(block)
                file.write(block)
                progress(len(block))
            file.flush()
            os.fsync(file.fileno())
        if sha256_of(part) != sha256:
            raise CliError(f"{target.name} was damaged on its way, or changed meanwhile: call it again", ExitCode.FOUND)
        part.replace(target)
    except OSError as error:
        words = f"{target} can't be written: {error.strerror or error}. Give another folder or make room"
        raise CliError(words, ExitCode.USAGE) from None
    finally:
        part.unlink(missing_ok=True)

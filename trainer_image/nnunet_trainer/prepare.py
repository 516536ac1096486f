"""`nnunet-trainer prepare`: make the folders of a training on its claims, before its own image is started.

Runs in the operator's own image, with the claims as a whole. The folders' names come from the operator, but `subPath`
is the user's word: it may not lead into what belongs to another training, nor through a link.
"""

import json
import logging
import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nnunet_operator.api.contract import RunContract, TerminationReport, run_folder
from nnunet_operator.api.exit_codes import ExitCode
from nnunet_operator.api.folders import OWNER_FILE, PREPROCESSED, RAW, RESULTS
from nnunet_trainer.failures import TrainerError, wrong_configuration, wrong_data
from nnunet_trainer.files import write_json

log = logging.getLogger(__name__)

_OWNER_LIMIT = 4096
"""Bytes of an owner file that are read: whoever owns the folder can write it."""
_NAMED = 10
"""How many datasets a message names."""


@dataclass(frozen=True)
class Folders:
    """The folders of a training, each from the root of its claim."""

    raw: str
    preprocessed: str
    results: str


def prepare(contract: RunContract, claims: Path, folders: Folders) -> TerminationReport:
    """Make the folders and write down whose they are. `claims` has the claims as `raw`, `preprocessed`, `results`.

    Raises TrainerError with WRONG_CONFIGURATION where a folder lies inside another training's, with WRONG_DATA where
    there is no such dataset, with STORAGE_FAILED where a folder can't be made.
    """
    _require_dataset(claims / RAW, folders.raw, contract.dataset)
    maker = {"namespace": contract.namespace, "maker": folders.preprocessed.rpartition("/")[2]}
    _own(claims / PREPROCESSED, folders.preprocessed, "storage.preprocessed.subPath", maker)
    run = {"namespace": contract.namespace, "name": contract.name, "uid": contract.uid}
    _own(claims / RESULTS, folders.results, "storage.results.subPath", run)
    folder = run_folder(contract.namespace, contract.name, contract.uid)
    return TerminationReport(message=f"the run's folder is {folder}")


def _require_dataset(claim: Path, folder: str, name: str) -> None:
    """The dataset is on the claim, and not in a folder of results or preprocessed data."""
    root = claim.resolve()
    path = (claim / folder).resolve()
    if not path.is_relative_to(root):
        raise wrong_data(f"the folder of {name} is a link that leads out of its claim: copy the dataset to the claim")
    for above in (*_between(root, path), path):
        if (owner := owner_of(above)) is not None:
            raise _taken("dataset.subPath", owner)
    if not path.is_dir():
        above = path.parent
        there = sorted(p.name for p in above.glob("Dataset*") if p.is_dir()) if above.is_dir() else []
        known = (
            f"there are {', '.join(there[:_NAMED])}{', ...' if len(there) > _NAMED else ''}"
            if there
            else "there is none"
        )
        raise wrong_data(
            f"dataset.name is {name}, but the claim has no such folder{_in(folder)}; {known}. Correct dataset.name, "
            "claimName or subPath, or copy the dataset to the claim (kubectl nnunet dataset push)"
        )


def _own(claim: Path, folder: str, field: str, owner: dict[str, str]) -> None:
    """Make a folder on a claim, not through links and not inside what is somebody else's; write down whose it is."""
    path = claim
    parts = folder.split("/")
    for number, part in enumerate(parts):
        if (found := owner_of(path)) is not None:
            raise _taken(field, found)
        path = path / part
        _make(path, claim, number == len(parts) - 1)
    found = owner_of(path)
    if found is None:
        write_json(path / OWNER_FILE, owner)
    elif found != owner:
        raise _taken(field, found)


def _make(path: Path, claim: Path, last: bool) -> None:
    try:
        path.mkdir(exist_ok=True)
    except FileExistsError:
        raise wrong_configuration(
            f"{path.relative_to(claim)} on the claim is no folder: remove it, or give another subPath"
        ) from None
    except PermissionError as error:
        raise TrainerError(
            ExitCode.STORAGE_FAILED,
            f"{path.relative_to(claim)} can't be made on the claim of {claim.name} data: "
            f"{os.strerror(error.errno or 0)}. The trainer runs as UID {os.getuid()}, GID {os.getgid()}: give it the "
            "folder above (chown), or have Kubernetes do so by naming the claim in the chart's trainer.ownedClaims "
            "(volumes that ignore fsGroup, such as NFS, need the former); then suspend and resume the training",
        ) from error
    if stat.S_ISLNK(path.lstat().st_mode):
        what = "the folder of this training" if last else "subPath"
        raise wrong_configuration(f"{what} leads through a link, {path.relative_to(claim)}: give the folder itself")


def owner_of(folder: Path) -> dict[str, Any] | None:
    """Return whose a folder is, or None where it is nobody's. What can't be read still says that it is somebody's."""
    try:
        fd = os.open(folder / OWNER_FILE, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError:
        return {}
    with os.fdopen(fd, "rb") as file:
        try:
            content = json.loads(file.read(_OWNER_LIMIT))
        except (OSError, ValueError):
            return {}
    return content if isinstance(content, dict) else {}


def _taken(field: str, owner: dict[str, Any]) -> TrainerError:
    name = "/".join(str(owner[part])[:253] for part in ("namespace", "name") if part in owner)
    whose = f"training {name}" if "name" in owner else "the preprocessed data of other trainings"
    return wrong_configuration(f"{field} leads into a folder that belongs to {whose}: give another one")


def _between(root: Path, path: Path) -> Iterator[Path]:
    """Yield the folders from the root down to the one above `path`, both resolved."""
    yield from (above for above in reversed(path.parents) if above.is_relative_to(root))


def _in(folder: str) -> str:
    above = folder.rpartition("/")[0]
    return f" in {above}" if above else ""

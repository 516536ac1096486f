"""`nnunet-trainer prepare`: make the folders of a training on its claims, before its own image is started.

Runs in the operator's own image, with the claims as a whole. The folders' names come from the operator, but `subPath`
is the user's word: it may not lead through a folder in which a training can write. So nothing here is read or written
in one, and whatever stands on the way was put there by somebody who has the claim as a whole.
"""

import errno
import os
from dataclasses import dataclass
from pathlib import Path

from nnunet_api.contract import RunContract, TerminationReport
from nnunet_api.exit_codes import ExitCode
from nnunet_api.folders import PREPROCESSED, RAW, RESULTS, dataset_part, owned_part
from nnunet_trainer.commands.prepare_weights import Weights, copy_weights
from nnunet_trainer.process.failures import TrainerError, one_line, wrong_configuration, wrong_data

_NAMED = 10
"""How many datasets a message names."""


@dataclass(frozen=True)
class Folders:
    """The folders of a training, each from the root of its claim."""

    raw: str
    preprocessed: str
    results: str


def prepare(contract: RunContract, claims: Path, folders: Folders, weights: Weights | None = None) -> TerminationReport:
    """Make the folders. `claims` has the claims as `raw`, `preprocessed` and `results`, and that of `weights` as such.

    Raises TrainerError with WRONG_CONFIGURATION where a folder would lie inside a training's, with WRONG_DATA where
    there is no such dataset, with STORAGE_FAILED where a folder can't be made.
    """
    try:
        _require_dataset(claims / RAW, folders.raw, contract.dataset)
        _make(claims / PREPROCESSED, folders.preprocessed)
        _make(claims / RESULTS, folders.results)
        if weights:
            copy_weights(claims, folders.results, weights)
    except (OSError, RuntimeError) as error:
        # Links in a circle are one or the other, by the version of Python.
        if isinstance(error, OSError) and error.errno not in (errno.ENAMETOOLONG, errno.ELOOP):
            raise
        raise wrong_configuration(f"a subPath can't be used: {one_line(str(error))[:500]}. Give another one") from error
    return TerminationReport(message=f"the folder of the run is {folders.results}")


def _require_dataset(claim: Path, folder: str, name: str) -> None:
    """The dataset is on the claim, and not in a folder of a training."""
    # The dataset's own name is none that a training's folder can have.
    _refuse_owned("dataset.subPath", folder.rpartition("/")[0])
    path, root = (claim / folder).resolve(), claim.resolve()
    if not path.is_relative_to(root) or path == root:
        raise wrong_data(
            f"the folder of {name} is a link that leads out of its claim, or to its root: copy the dataset to the claim"
        )
    _refuse_owned("dataset.subPath", str((path.parent if path.name == name else path).relative_to(root)))
    if path.is_dir():
        return
    above = path.parent
    there = sorted(entry.name for entry in above.glob("Dataset*") if entry.is_dir()) if above.is_dir() else []
    known = (
        f"there are {', '.join(there[:_NAMED])}{', ...' if len(there) > _NAMED else ''}" if there else "there is none"
    )
    inside = folder.rpartition("/")[0]
    raise wrong_data(
        f"dataset.name is {name}, but the claim has no such folder{f' in {inside}' if inside else ''}; {known}. "
        "Correct dataset.name, claimName or subPath, or copy the dataset to the claim (kubectl nnunet dataset push)"
    )


def _make(claim: Path, folder: str) -> None:
    """Make a folder on a claim, not through links and not inside what a training can write."""
    *sub_path, _namespace, own = folder.split("/")
    field, above = f"storage.{claim.name}.subPath", "/".join(sub_path)
    _refuse_owned(field, above)
    if part := dataset_part(above):
        raise wrong_configuration(
            f"{field} leads through {part}, which is named as a dataset is: what is written among its images spoils it "
            "for all who train on it. Give another folder"
        )
    if not owned_part(own):
        raise wrong_configuration(f"the UID of this training looks like a date in {own}: delete it and create it again")
    path = claim
    for part in folder.split("/"):
        path = path / part
        _make_one(path, claim)


def _make_one(path: Path, claim: Path) -> None:
    name = path.relative_to(claim)
    try:
        path.mkdir()
    except FileExistsError:
        pass
    except PermissionError as error:
        raise TrainerError(
            ExitCode.STORAGE_FAILED,
            f"{name} can't be made on the claim of {claim.name}: {os.strerror(error.errno or 0)}. The trainer runs as "
            f"UID {os.getuid()}, GID {os.getgid()}: give it the folder above (chown), or let Kubernetes do it, "
            "which it does where the chart's trainer.ownedClaims names each claim that the training writes to, and no "
            "other group than spec.podTemplate.securityContext.fsGroup for it, and the volume supports fsGroup (NFS "
            "does not). Then suspend and resume the training",
        ) from error
    if path.is_symlink() or not path.is_dir():
        raise wrong_configuration(
            f"storage.{claim.name}.subPath: {name} is {'a link' if path.is_symlink() else 'no folder'} on the claim. "
            "Give the folder itself, or another one"
        )


def _refuse_owned(field: str, folder: str) -> None:
    if part := owned_part(folder):
        raise wrong_configuration(
            f"{field} leads through {part}, which is, or may be taken for, the folder of a training (NAME-UID8, "
            "shared-...): what lies there belongs to that training alone. Give another folder, or rename it"
        )

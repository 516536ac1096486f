"""What of the claims a pod sees: no more than its training's own part.

A training names claims and folders as it likes, and its pods may run an image of anybody's. So the folders in which it
may write are made before it starts, by the operator's own image, and the trainer's container gets these alone.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase

from nnunet_api.contract import PREPROCESSED_PATH, RAW_PATH, RESULTS_PATH
from nnunet_api.folders import (
    CLAIMS_PATH,
    PREPROCESSED,
    RAW,
    RESULTS,
    WEIGHTS,
    inside,
    is_shared,
    preprocessed_folder,
    run_folder,
)
from nnunet_api.initial_weights import WeightsSource
from nnunet_operator.core.training import Training
from nnunet_operator.kube.builders.options import JobOptions
from nnunet_operator.kube.objects import Manifest


@dataclass(frozen=True)
class Mount:
    """A folder of a claim at a path of a container."""

    role: str
    claim: str
    sub_path: str
    """The folder, from the root of the claim; empty for the root."""
    path: str
    read_only: bool
    for_preparing: bool = False
    """Only the container that makes the folders gets it."""


def raw_mount(training: Training) -> Mount:
    """Return the mount of the dataset: its own folder, always read-only."""
    dataset = training.spec.dataset
    return Mount(RAW, dataset.claim_name, inside(dataset.sub_path, dataset.name), f"{RAW_PATH}/{dataset.name}", True)


def preprocessed_mount(training: Training, *, read_only: bool) -> Mount:
    """Return the mount of the preprocessed data: of the folder that is shared with trainings that plan alike.

    Never a folder inside it, whose name would be the word of a pod that may have put a link there: the kubelet follows
    links on the volume, the trainer's container finds nothing at their end.

    A run that was planned when all data lay side by side on the claim sees its own folder.
    """
    claim = training.spec.storage.preprocessed
    folder = inside(claim.sub_path, preprocessed_folder(training.spec, training.namespace))
    path, known = PREPROCESSED_PATH, training.status.provenance and training.status.provenance.preprocessed_path
    if read_only and known:
        folder, _, key = known.rpartition("/")
        if not is_shared(folder, training.namespace):
            folder, path = known, f"{PREPROCESSED_PATH}/{key}"
    return Mount(PREPROCESSED, claim.claim_name, folder, path, read_only)


def results_mount(training: Training) -> Mount:
    """Return the mount of the run's folder."""
    claim = training.spec.storage.results
    run = run_folder(training.namespace, training.name, training.uid)
    return Mount(RESULTS, claim.claim_name, inside(claim.sub_path, run), f"{RESULTS_PATH}/{run}", read_only=False)


def weights_mount(source: WeightsSource) -> Mount:
    """Return the mount of the checkpoint that a training begins with.

    Never the trainer's: whoever wrote the folder that it lies in may have put links there. It gets a copy.
    """
    return Mount(WEIGHTS, source.claim_name, source.path, f"{CLAIMS_PATH}/{WEIGHTS}", True, for_preparing=True)


def whole_claims(mounts: Sequence[Mount]) -> list[Mount]:
    """Return mounts of the same claims as a whole, for the container that makes the folders."""
    return [Mount(mount.role, mount.claim, "", f"{CLAIMS_PATH}/{mount.role}", mount.read_only) for mount in mounts]


def volume_mounts(mounts: Sequence[Mount]) -> list[Manifest]:
    """Return the mounts in a container's manifest."""
    volume_of = _volume_names(mounts)
    return [_volume_mount(mount, volume_of[mount.claim]) for mount in mounts if not mount.for_preparing]


def claim_volumes(mounts: Sequence[Mount]) -> list[Manifest]:
    """Return the volumes of a pod's manifest for its claims.

    A claim with nothing but the dataset, or weights, on it is read-only as a whole, so that the kubelet does not change
    its owner.
    """
    return [
        {
            "name": name,
            "persistentVolumeClaim": {"claimName": claim, **({"readOnly": True} if _only_read(claim, mounts) else {})},
        }
        for claim, name in _volume_names(mounts).items()
    ]


def owning_group(namespace: str, mounts: Sequence[Mount], options: JobOptions) -> int | None:
    """Return the group to which the kubelet may give the claims that are written (fsGroup); None for nobody.

    It changes group and rights of all files on them, also of those that other trainings have put there. So each claim
    has one group, which the operator's settings say and no training, and claims that are not nnU-Net's have none.
    """
    written = {mount.claim for mount in mounts if not _only_read(mount.claim, mounts)}
    groups = {_group_of(f"{namespace}/{claim}", options) for claim in written}
    return groups.pop() if len(groups) == 1 else None


def _group_of(claim: str, options: JobOptions) -> int | None:
    for owned in options.owned_claims:
        pattern, _, group = owned.partition(":")
        if fnmatchcase(claim, pattern if "/" in pattern else f"*/{pattern}"):
            return int(group) if group else options.security.fs_group
    return None


def _only_read(claim: str, mounts: Sequence[Mount]) -> bool:
    return all(mount.role in (RAW, WEIGHTS) for mount in mounts if mount.claim == claim)


def _volume_names(mounts: Sequence[Mount]) -> dict[str, str]:
    """Name the volume of each claim after the first mount that uses it.

    One volume for each claim, not for each mount: the kubelet does not start pods that list a claim twice.
    """
    names: dict[str, str] = {}
    for mount in mounts:
        names.setdefault(mount.claim, mount.role)
    return names


def _volume_mount(mount: Mount, volume: str) -> Manifest:
    body: Manifest = {"name": volume, "mountPath": mount.path, "readOnly": mount.read_only}
    if mount.sub_path:
        body["subPath"] = mount.sub_path
    return body

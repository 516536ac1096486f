"""What predictions of a training have left in the cluster, whoever began them: their Jobs, and folders on claims."""

import re
import shlex
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from nnunet_api.labels import short_name
from nnunet_api.prediction import SEGMENTATIONS_PATH, hidden_folder
from nnunet_api.words import counted
from nnunet_cli.kube.cluster import Object
from nnunet_cli.predict.job import ASKED_FOR, LABELS, job_name
from nnunet_cli.predict.places import OnClaim
from nnunet_cli.predict.state import end_of
from nnunet_cli.predict.work import key_of_folder
from nnunet_cli.text.progress import size
from nnunet_cli.text.words import age

FORGOTTEN_SECONDS = 7 * 86400
"""A folder that is not written to for so long is spoken of."""
LATELY_SECONDS = 3600
"""A folder that was written to within this time may be that of a Job elsewhere."""
TITLES = ("NAME", "JOB", "IMAGES", "SEGMENTED", "SIZE", "UNTOUCHED")


@dataclass(frozen=True)
class Folder:
    """A folder beside the run, through which images were sent or segmentations are to be fetched."""

    path: str
    """On its claim."""
    images: int
    """Files with images, and with spacings beside them."""
    segmented: bool
    """All is segmented, and waits to be fetched."""
    bytes: int
    idle_seconds: float
    """Since something in it was written last."""
    within: OnClaim | None = None
    """The folder of somebody's own that it lies in; None for one beside the run, on the results claim."""

    @property
    def told(self) -> str:
        """Where it is, as scripts read it."""
        return f"{self.within.claim}:{self.path}" if self.within else self.path


@dataclass(frozen=True)
class Left:
    """A prediction of which something is there."""

    key: str
    name: str
    """That its Job has, or has had."""
    job: Object | None
    folder: Folder | None

    @property
    def state(self) -> str:
        """What its Job does: waits, runs, complete, failed; empty where there is none."""
        if self.job is None:
            return ""
        ended = end_of(self.job, ())
        if ended is None:
            return "runs" if (self.job.get("status") or {}).get("active") else "waits"
        return "failed" if ended.failed else "complete"

    @property
    def hidden(self) -> OnClaim | None:
        """Where segmentations that are not whole lie in a folder of somebody's own; None where they do not."""
        place = self.target
        return OnClaim(place.claim, f"{place.path}/{hidden_folder(self.key)}") if place else None

    @property
    def target(self) -> OnClaim | None:
        """The folder of somebody's own that segmentations go to; None where they go beside the run, or nobody knows."""
        place = _target_of(self.job) if self.job else None
        return None if place is None or (self.folder and place.path.startswith(f"{self.folder.path}/")) else place


ALL_JOBS = ",".join(f"{key}={value}" for key, value in LABELS.items())
"""The selector of the Jobs that predict, by whatever training."""


def labels_of(training: str) -> str:
    """Return the selector of the Jobs that predict by a training."""
    return f"{ALL_JOBS},app.kubernetes.io/instance={short_name(training)}"


def left_of(training: str, jobs: Iterable[Object], parent: str, folders: Iterable[Mapping[str, Any]]) -> list[Left]:
    """Return what predictions by a training have left, the longest untouched first.

    `folders` are those that the agent has found in `parent`, of all trainings. What only bears such a name is left out.
    """
    by_key: dict[str, Object] = {}
    for job in jobs:
        key = _key_of(job)
        if job["metadata"]["name"] == job_name(training, key):
            by_key[key] = job
    there = {
        key: Folder(
            f"{parent}/{one['name']}", one["images"], bool(one["segmented"]), one["bytes"], float(one["seconds"])
        )
        for one in folders
        if (key := key_of_folder(str(one["name"]), training))
    }
    found = [Left(key, job_name(training, key), by_key.get(key), there.get(key)) for key in sorted({*by_key, *there})]
    return sorted(found, key=lambda one: -(one.folder.idle_seconds if one.folder else 0.0))


def left_in(place: OnClaim, jobs: Iterable[Object], folders: Iterable[Mapping[str, Any]]) -> list[Left]:
    """Return what is not whole in a folder of somebody's own, the longest untouched first.

    `folders` are those that the agent has found there, and `jobs` those of all trainings: what a Job is there for is
    that one's, and goes with it. By whose model the rest was begun nothing says any more.
    """
    known = {hidden_folder(_key_of(job)) for job in jobs}
    hidden = re.compile(re.escape(hidden_folder("")) + "(f[0-9a-f]{7})")
    found = [
        Left(
            key[1],
            name,
            None,
            Folder(f"{place.path}/{name}", 0, False, one["bytes"], float(one["seconds"]), within=place),
        )
        for one in folders
        if (key := hidden.fullmatch(name := str(one["name"]))) and name not in known
    ]
    return sorted(found, key=lambda one: -(one.folder.idle_seconds if one.folder else 0.0))


def in_use(name: str, found: Iterable[Left]) -> str:
    """Return why what `left_in` has found may not be removed; empty where it may."""
    now = next((one.folder for one in found if one.name == name), None)
    if now is None:
        return "a Job has been made for it, or it is gone"
    if now.idle_seconds >= LATELY_SECONDS:
        return ""
    written = f"it was written to {age(now.idle_seconds)} ago, maybe by a Job of another namespace"
    return f"{written} (kubectl get jobs -A -l {ALL_JOBS}). Where none is, try again an hour after that"


def _key_of(job: Object) -> str:
    asked_for = str((job["metadata"].get("annotations") or {}).get(ASKED_FOR) or "")
    return f"f{asked_for[:7]}"


def rows(found: Sequence[Left]) -> list[tuple[str, ...]]:
    """Return the rows of a table."""
    return [
        (
            one.name,
            one.state,
            *(
                (str(one.folder.images), "yes" if one.folder.segmented else "no", size(one.folder.bytes))
                if one.folder
                else ("", "", "")
            ),
            age(one.folder.idle_seconds) if one.folder else "",
        )
        for one in found
    ]


def data(found: Sequence[Left]) -> dict[str, Any]:
    """Return what scripts read. No key of it may be renamed."""
    return {
        "items": [
            {
                "name": one.name,
                "job": one.state or None,
                "folder": one.folder.told if one.folder else None,
                "images": one.folder.images if one.folder else None,
                "segmented": one.folder.segmented if one.folder else None,
                "bytes": one.folder.bytes if one.folder else None,
                "untouchedSeconds": round(one.folder.idle_seconds) if one.folder else None,
            }
            for one in found
        ]
    }


def removed(one: Left) -> str:
    """Return words on what is gone of a prediction that was removed, and on what may be left."""
    if one.folder is not None and one.folder.within is not None:
        return f"{one.name}: it is gone from {one.folder.within}. What else is in that folder stays"
    gone = " and ".join(
        what for what, there in (("its Job", one.job), ("its folder beside the run", one.folder)) if there is not None
    )
    words = f"{one.name}: {gone} {'are' if one.job and one.folder else 'is'} gone"
    if one.target is not None:
        return f"{words}, and what was not done yet in {one.target}. What else is in that folder stays"
    if one.job is None and not (one.folder and one.folder.segmented):
        # Where it wrote to was in its Job alone.
        return f"{words}. If it wrote to a CLAIM:PATH, {hidden_folder(one.key)} may be left there: look with --in"
    return words


def forgotten(found: Sequence[Left], where: str, place: OnClaim | None = None) -> str:
    """Return words on folders that nobody has touched in a while; empty where there are none.

    `place` is the folder of somebody's own in which they are, if they are in one.
    """
    old = [one.folder for one in found if one.folder and one.folder.idle_seconds > FORGOTTEN_SECONDS]
    if not old:
        return ""
    namespace, name = where.split("/")
    words = counted(len(old), "earlier prediction has", "earlier predictions have")
    taken = f"{size(sum(one.bytes for one in old))} {f'in {place}' if place else 'on the claim'}"
    look = f"kubectl nnunet predictions {name} -n {namespace}{f' --in {shlex.quote(str(place))}' if place else ''}"
    return f"{words} left {taken}, untouched for more than a week: {look}"


def _target_of(job: Object) -> OnClaim | None:
    """Return where a Job writes; None for one that is not as `prediction_job` makes it."""
    try:
        pod = job["spec"]["template"]["spec"]
        (mount,) = [
            one
            for container in pod["containers"]
            for one in container["volumeMounts"]
            if one["mountPath"] == SEGMENTATIONS_PATH
        ]
        (volume,) = [one for one in pod["volumes"] if one["name"] == mount["name"]]
        return OnClaim(str(volume["persistentVolumeClaim"]["claimName"]), str(mount["subPath"]))
    except (KeyError, TypeError, ValueError):
        return None

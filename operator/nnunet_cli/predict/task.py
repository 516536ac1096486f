"""A prediction from its checks to its end: what is mounted, checked, sent, fetched and removed for it."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

from nnunet_api.folders import inside
from nnunet_cli.errors import CliError, ExitCode
from nnunet_cli.export.archive import files_of
from nnunet_cli.export.choice import Wanted, wanted
from nnunet_cli.export.command import read_evidence
from nnunet_cli.export.evidence import needs_evidence, with_whole_hashes
from nnunet_cli.kube.cluster import Cluster, Object
from nnunet_cli.kube.watched import Watched
from nnunet_cli.predict.following import delete, find
from nnunet_cli.predict.images import LocalImages, ending_of, images_on_claim, local_images, local_target
from nnunet_cli.predict.job import Folders, folders_of, job_name
from nnunet_cli.predict.left import forgotten, left_in, left_of
from nnunet_cli.predict.places import Local, OnClaim, Place
from nnunet_cli.predict.request import Compute, Model, Request, request_of
from nnunet_cli.predict.state import end_of
from nnunet_cli.predict.work import (
    IMAGES,
    SEGMENTATIONS,
    do,
    fetch,
    folders_beside,
    hashes_of_files,
    is_done,
    names_in,
    parent_of,
    read_json,
    send,
    work_folder,
)
from nnunet_cli.text.output import note
from nnunet_cli.volumes.access import Volume, choose_image, mounted
from nnunet_cli.volumes.hashes import hashes_of
from nnunet_cli.volumes.helper import Image
from nnunet_cli.volumes.runs import Run, RunPlace, place_of_run


@dataclass(frozen=True)
class Asked:
    """What the command line asks for, of which training."""

    cluster: Cluster
    training: Object
    found: Watched
    chosen: Wanted
    replicate: int
    source: Place
    target: Place
    compute: Compute
    image: str | None
    timeout: float
    follow_links: bool = False

    @property
    def model(self) -> Model:
        """What is predicted with."""
        return Model(self.training, self.found, self.chosen, self.replicate)

    @property
    def place(self) -> RunPlace:
        """Where the run lies."""
        return place_of_run(self.training)

    @property
    def uses_work_folder(self) -> bool:
        """Whether something lies on the results claim meanwhile."""
        return isinstance(self.source, Local) or isinstance(self.target, Local)

    def with_whole_hashes(self, evidence: bytes) -> "Asked":
        """Return the same with the whole hashes of checkpoints. Raises CliError."""
        found = with_whole_hashes(self.found, evidence)
        names = [one.configuration for one in self.chosen.export.chosen]
        own = () if self.chosen.export.postprocessing is not None else names
        return replace(self, found=found, chosen=wanted(self.training, found, own, self.replicate))


@dataclass
class Task:
    """A prediction that was checked; its images are where its Job reads them."""

    asked: Asked
    request: Request
    image: Image
    folders: Folders
    work: str
    """Folder on the results claim for what is sent and fetched."""
    cases: tuple[str, ...]
    ending: str
    is_done: bool
    """The segmentations are on the claim."""
    job: Object | None
    """As it was found."""

    @property
    def namespace(self) -> str:
        """Namespace of the training, of its claims and of the Job."""
        return self.asked.found.namespace

    @property
    def name(self) -> str:
        """Name of the Job."""
        return job_name(self.asked.found.name, self.request.prediction.key)

    @property
    def hidden(self) -> str:
        """Name of the folder beside segmentations in which lies what is not done yet."""
        return self.request.prediction.work_folder

    @property
    def is_over(self) -> bool:
        """Its Job has ended, and what is wanted is not there: it failed, or somebody has removed what it made."""
        over = end_of(self.job, ()) if self.job is not None else None
        return over is not None and (over.failed or not self.is_done)

    @property
    def compute(self) -> Compute:
        """What the pod gets."""
        return self.asked.compute

    def finish(self) -> None:
        """Fetch the segmentations that are wanted here, and remove what nobody needs any more. Raises CliError."""
        asked = self.asked
        if asked.uses_work_folder:
            with mount(asked, self.image, asked.place.claim, read_only=False) as volume:
                if isinstance(asked.target, Local):
                    folder = self.folders.segmentations.folder
                    fetch(volume, folder, self.cases, self.ending, local_target(asked.target))
                self._delete_job()
                do(volume, "remove", self.work)
        else:
            self._delete_job()

    def remove(self) -> None:
        """End it, and remove what it has left on claims. Raises CliError."""
        self._delete_job()
        asked = self.asked
        if asked.uses_work_folder:
            with mount(asked, self.image, asked.place.claim, read_only=False) as volume:
                do(volume, "remove", self.work)
        if isinstance(asked.target, OnClaim):
            with mount(asked, self.image, asked.target.claim, read_only=False) as volume:
                do(volume, "remove", f"{asked.target.path}/{self.hidden}")

    def _delete_job(self) -> None:
        job = find(self.asked.cluster, self.namespace, self.name, self.request.prediction.asked_for)
        if job is not None:
            delete(self.asked.cluster, job)


@contextmanager
def mount(asked: Asked, image: Image, claim: str, *, read_only: bool) -> Iterator[Volume]:
    """Mount a claim of the training's namespace. Raises CliError."""
    where = asked.found.namespace
    with mounted(asked.cluster, where, claim, image, read_only=read_only, limit_seconds=asked.timeout) as volume:
        yield volume


def prepare(asked: Asked, *, begins: bool) -> Task:
    """Check model and images, and put these where the Job reads them; without `begins` only look. Raises CliError."""
    place = asked.place
    image = choose_image(asked.cluster, asked.image)
    image = replace(image, security=place.security) if place.security else image
    where = f"{asked.found.namespace}/{asked.found.name}"
    # One pod after the other: each ends by itself where nothing is asked of it for long, as while images are read.
    with mount(asked, image, place.claim, read_only=True) as volume:
        if needs_evidence(asked.found):
            asked = asked.with_whole_hashes(read_evidence(Run(volume, place.folder), where))
        description = _model(volume, place.folder, asked.chosen, where)
        beside = folders_beside(volume, parent_of(place.folder)) if begins else []
    images: LocalImages | None = None
    if isinstance(asked.source, Local):
        images = local_images(asked.source, description, asked.follow_links)
        cases, known = images.cases, hashes_of_files(images.files)
        if images.note:
            note(f"note: {images.note}")
    else:
        with mount(asked, image, asked.source.claim, read_only=True) as volume:
            names = names_in(volume, asked.source.path)
            cases, files = images_on_claim(asked.source, names, description)
            known = dict(zip(files, map(str, hashes_of(volume, asked.source.path, files)), strict=True))
    request = request_of(asked.model, known, asked.compute, image.reference, *map(_named, (asked.source, asked.target)))
    task = _task(asked, request, image, place, cases, ending_of(description))
    task.job = find(asked.cluster, task.namespace, task.name, request.prediction.asked_for)
    if begins:
        others = [one for one in left_of(asked.found.name, [], "", beside) if one.name != task.name]
        if words := forgotten(others, where):
            note(f"note: {words}")
        _put(task, images)
    return task


def _model(volume: Volume, run: str, chosen: Wanted, where: str) -> Mapping[str, Any]:
    """Return dataset.json of the model, all of whose files are there. Raises CliError."""
    export, results = chosen.export, inside(run, chosen.folder) if chosen.folder else run
    with volume.run("sizes", f"{results}/{export.dataset}") as remote:
        files_of(export, {f"{export.dataset}/{one['path']}": int(one["size"]) for one in remote.messages()}, where)
    description = read_json(volume, f"{results}/{export.applied_by}")
    if not isinstance(description, dict):
        raise CliError(f"{export.applied_by} of {where} holds no object: restore it", ExitCode.FOUND)
    return description


def _task(asked: Asked, request: Request, image: Image, place: RunPlace, cases: tuple[str, ...], ending: str) -> Task:
    work = work_folder(place.folder, asked.found.name, request.prediction.key)
    folders = folders_of(
        request,
        (place.claim, place.folder),
        _at(asked.source) or (place.claim, f"{work}/{IMAGES}"),
        _at(asked.target) or (place.claim, f"{work}/{SEGMENTATIONS}"),
    )
    return Task(asked, request, image, folders, work, cases, ending, is_done=False, job=None)


def _named(place: Place) -> str:
    """Return a place on a claim. Where a local folder is changes nothing: what is in it counts."""
    return str(place) if isinstance(place, OnClaim) else ""


def _at(place: Place) -> tuple[str, str] | None:
    return (place.claim, place.path) if isinstance(place, OnClaim) else None


def _put(task: Task, images: LocalImages | None) -> None:
    """Put images and folders where the Job finds them, unless it has begun, or all that is wanted is there."""
    asked, target = task.asked, task.folders.segmentations
    if isinstance(asked.target, Local):
        local_target(asked.target)
    if task.job is not None and end_of(task.job, ()) is None:
        return
    own = asked.place.claim
    for claim in dict.fromkeys([target.claim, *([own] if images is not None else [])]):
        with mount(asked, task.image, claim, read_only=False) as volume:
            if claim == target.claim:
                digest = task.request.prediction.asked_for
                task.is_done = is_done(volume, target.folder, digest, task.cases, task.ending)
                if task.is_done:
                    return
                do(volume, "make", target.folder)
                if isinstance(asked.target, OnClaim):
                    _tell_of_others(task, asked.target, volume)
            if images is not None and claim == own:
                send(volume, task.work, images.files)


def _tell_of_others(task: Task, place: OnClaim, volume: Volume) -> None:
    """Say what earlier predictions have not finished in the folder of somebody's own; its own is gone on with."""
    others = [one for one in left_in(place, [], folders_beside(volume, place.path)) if one.name != task.hidden]
    if words := forgotten(others, f"{task.namespace}/{task.asked.found.name}", place):
        note(f"note: {words}")

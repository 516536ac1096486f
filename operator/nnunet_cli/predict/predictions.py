"""`kubectl nnunet predictions`: what predictions of a training have left, and its end."""

from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import replace
from typing import Annotated, Protocol

import typer

from nnunet_cli.errors import CliError, ExitCode
from nnunet_cli.kube.answer import Refused
from nnunet_cli.kube.cluster import Cluster, Object
from nnunet_cli.kube.connection import Connection
from nnunet_cli.options import HelperImage, HelperTimeout, Name, Namespace, Output, TextOutput, asks_cluster
from nnunet_cli.predict.following import RIGHTS, delete
from nnunet_cli.predict.left import ALL_JOBS, TITLES, Left, data, in_use, labels_of, left_in, left_of, removed, rows
from nnunet_cli.predict.places import Local, OnClaim, place_of
from nnunet_cli.predict.work import do, folders_beside, parent_of
from nnunet_cli.text.output import print_data, print_table, say
from nnunet_cli.volumes.access import Volume, choose_image, mounted
from nnunet_cli.volumes.runs import place_of_run, read_begun

Remove = Annotated[
    list[str] | None,
    typer.Option(
        "--remove",
        metavar="PREDICTION",
        help="End a prediction of the list, and remove its images and segmentations; may be repeated.",
    ),
]
Within = Annotated[
    str | None,
    typer.Option(
        "--in",
        metavar="CLAIM:PATH",
        help="A folder to which segmentations were sent: list also what is not whole in it, and has no Job.",
        show_default=False,
    ),
]


@asks_cluster
def predictions(
    name: Name,
    namespace: Namespace = None,
    remove: Remove = None,
    within: Within = None,
    output: Output = TextOutput.TEXT,
    image: HelperImage = None,
    timeout: HelperTimeout = 300.0,
    *,
    to: Connection,
) -> None:
    """List what predictions of a training have left in the cluster, or remove it.

    Those are the Jobs of kubectl nnunet predict, whoever has called it, and the folders on the results claim through
    which images are sent and segmentations fetched: of predictions that go on, and of those that nobody has come back
    for. With --remove the Job is ended and the folder removed, also what was segmented and not fetched. What lies in a
    folder that somebody has named as CLAIM:PATH stays; only what is not done yet is removed there, too. Of a prediction
    whose Job is gone that is found by --in, whichever training it was by, where nobody has written for an hour.

    \b
    Examples:
      kubectl nnunet predictions liver -n radiology
      kubectl nnunet predictions liver -n radiology --remove liver-predict-f52a16c0
      kubectl nnunet predictions liver -n radiology --in imaging:2026/segmented

    \b
    Exit codes:
      0  they were listed, or removed
      1  there is no such prediction, or what --in has found may be written to still
      2  wrong usage
      3  there is no such training, a claim can't be mounted, or the cluster can't be reached, or refuses
    """
    place = None if within is None else place_of(within, "--in")
    if isinstance(place, Local):
        raise CliError(f"--in {within}: give a folder on a claim, as CLAIM:PATH", ExitCode.USAGE)
    cluster = Cluster(to)
    training, found = read_begun(cluster, namespace, name, "prediction")
    run = place_of_run(training)
    chosen = choose_image(cluster, image)
    chosen = replace(chosen, security=run.security) if run.security else chosen

    def mount(claim: str, *, read_only: bool) -> AbstractContextManager[Volume]:
        return mounted(cluster, found.namespace, claim, chosen, read_only=read_only, limit_seconds=timeout)

    jobs = _jobs(cluster, found.namespace, labels_of(found.name))
    parent = parent_of(run.folder)
    with mount(run.claim, read_only=True) as volume:
        there = left_of(found.name, jobs, parent, folders_beside(volume, parent))
    if place is not None:
        with mount(place.claim, read_only=True) as volume:
            there += _left_within(cluster, found.namespace, volume, place)
    where = f"{found.namespace}/{found.name}"
    if remove:
        for one in _wanted(there, remove, where):
            _remove(cluster, found.namespace, mount, one, run.claim)
            say(f"{where}: {removed(one)}")
    elif not print_data(output, lambda: data(there)):
        _show(there, where, place)


def _show(there: Sequence[Left], where: str, place: OnClaim | None) -> None:
    """Print what predictions of a training have left, or that there is nothing."""
    if there:
        print_table(TITLES, rows(there))
    else:
        also = "" if place is None else f", and {place} has nothing of one whose Job is gone"
        say(f"{where}: no prediction has left a Job, or a folder beside the run{also}")


class _Mount(Protocol):
    def __call__(self, claim: str, *, read_only: bool) -> AbstractContextManager[Volume]: ...


def _jobs(cluster: Cluster, namespace: str, labels: str) -> list[Object]:
    try:
        return cluster.jobs(namespace, labels)
    except Refused as refused:
        words = f"the Jobs of namespace {namespace} can't be listed: {refused}; {RIGHTS}, and to list Jobs"
        raise CliError(words, ExitCode.CLUSTER) from None


def _left_within(cluster: Cluster, namespace: str, volume: Volume, place: OnClaim) -> list[Left]:
    """Return what is not whole in a folder of somebody's own, on a mounted claim, and has no Job in the namespace."""
    folders = folders_beside(volume, place.path)
    # After that: each Job is there before its folder is.
    return left_in(place, _jobs(cluster, namespace, ALL_JOBS), folders)


def _wanted(there: Sequence[Left], names: Sequence[str], where: str) -> list[Left]:
    """Return those of these names. Raises CliError where one is not there, before anything is removed."""
    by_name = {one.name: one for one in there}
    for name in names:
        if name not in by_name:
            known = ", ".join(by_name) or "none"
            raise CliError(f"{where} has no prediction {name}. There are: {known}", ExitCode.FOUND)
    return [by_name[name] for name in dict.fromkeys(names)]


def _remove(cluster: Cluster, namespace: str, mount: _Mount, one: Left, results: str) -> None:
    """End a prediction: its Job first, which may write still. Raises CliError where one may that is not to be seen."""
    if one.job is not None:
        delete(cluster, one.job)
    if one.folder is not None:
        within = one.folder.within
        with mount(within.claim if within else results, read_only=False) as volume:
            if within is not None and (words := in_use(one.name, _left_within(cluster, namespace, volume, within))):
                raise CliError(f"{one.name} in {within} is not removed: {words}", ExitCode.FOUND)
            do(volume, "remove", one.folder.path)
    if (hidden := one.hidden) is not None:
        with mount(hidden.claim, read_only=False) as volume:
            do(volume, "remove", hidden.path)

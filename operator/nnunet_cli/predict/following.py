"""Waiting for a prediction's Job, with its progress; and its end, where somebody wants none of it any more."""

import contextlib
import time
from collections.abc import Callable

from nnunet_api.kueue import JOB_UID_LABEL
from nnunet_cli.errors import CliError, ExitCode
from nnunet_cli.kube.answer import Refused
from nnunet_cli.kube.cluster import Cluster, Object, Unreachable
from nnunet_cli.kube.refusals import todo
from nnunet_cli.kube.watched import read_events
from nnunet_cli.predict.job import ASKED_FOR
from nnunet_cli.predict.state import Ended, end_of, progress_in, put_in, runs_now, why_waiting

INTERVAL_SECONDS = 2.0
RIGHTS = "it takes the rights to create, get and delete Jobs, and to list pods; with pods/log there is progress"
_TAIL = 50
"""Lines of the log in which its progress is looked for."""
_GONE_SECONDS = 120.0

Tell = Callable[[str], object]


def find(cluster: Cluster, namespace: str, name: str, asked_for: str) -> Object | None:
    """Return the Job of this name; None where there is none. Raises CliError where it is another prediction's."""
    try:
        job = cluster.job(namespace, name)
    except Refused as refused:
        raise _refused(f"Job {name} can't be read", refused) from None
    if job is not None and (job["metadata"].get("annotations") or {}).get(ASKED_FOR) != asked_for:
        words = f"Job {name} in namespace {namespace} was made for something else"
        raise CliError(f"{words}: delete it (kubectl delete job {name} -n {namespace})", ExitCode.CLUSTER)
    return job


def create(cluster: Cluster, namespace: str, body: Object) -> bool:
    """Create the Job; return False where another call has just made it. Raises CliError."""
    try:
        cluster.create_job(namespace, body)
    except Refused as refused:
        if refused.answer.status == 409:
            return False
        what = f"the Job that predicts can't be created in namespace {namespace}"
        words = f"{what}: {refused}; {todo(str(refused), namespace, RIGHTS)}"
        raise CliError(words, ExitCode.CLUSTER) from None
    return True


def delete(cluster: Cluster, job: Object) -> None:
    """Delete a Job, and wait until its pods are gone: another one may write where they did. Raises CliError."""
    namespace, name, uid = (job["metadata"][key] for key in ("namespace", "name", "uid"))
    try:
        cluster.delete_job(namespace, name, uid)
        deadline = time.monotonic() + _GONE_SECONDS
        while (there := cluster.job(namespace, name)) and there["metadata"]["uid"] == uid:
            if time.monotonic() > deadline:
                words = f"Job {name} in namespace {namespace} is being deleted, and its pods are still there"
                raise CliError(f"{words}: call it again when they are gone", ExitCode.CLUSTER)
            time.sleep(INTERVAL_SECONDS / 4)
    except Refused as refused:
        if refused.answer.status not in (404, 409):
            raise _refused(f"Job {name} can't be deleted", refused) from None


def follow(cluster: Cluster, namespace: str, name: str, tell: Tell) -> Ended:
    """Wait until a Job has ended, and tell what changes meanwhile. Raises CliError where it is deleted."""
    said, warned = "", False

    def warn(words: str) -> None:
        nonlocal warned
        if words and not warned:
            tell(words)
            warned = True

    while True:
        try:
            found = _look(cluster, namespace, name, warn)
        except Unreachable as error:
            found = f"no news, still trying: {error}"
        except Refused as refused:
            raise _refused(f"Job {name} can't be looked at", refused) from None
        if isinstance(found, Ended):
            return found
        if found and found != said:
            said = found
            tell(found)
        time.sleep(INTERVAL_SECONDS)


def _look(cluster: Cluster, namespace: str, name: str, warn: Tell) -> Ended | str:
    """Return what a Job came to, or else what is going on; empty where there is nothing to tell."""
    job = cluster.job(namespace, name)
    if job is None:
        words = f"Job {name} in namespace {namespace} was deleted before it had ended: what was done is kept"
        raise CliError(f"{words}. The same command goes on with it", ExitCode.FOUND)
    pods = cluster.pods(namespace, f"batch.kubernetes.io/job-name={name}")
    warn(put_in(job, pods))
    if ended := end_of(job, pods):
        return ended
    if pod := runs_now(pods):
        # It may be gone by now, its kubelet be away, or this user not read it.
        with contextlib.suppress(Refused, Unreachable):
            lines = list(cluster.log(namespace, pod["metadata"]["name"], tail=_TAIL))
            return progress_in(lines) or "it runs"
        return "it runs"
    return why_waiting(job, pods, _warnings(cluster, namespace, [job, *pods]), _workloads(cluster, job))


def _workloads(cluster: Cluster, job: Object) -> list[Object]:
    """Return what Kueue has made of a Job that is suspended."""
    if (job.get("spec") or {}).get("suspend"):
        with contextlib.suppress(Refused):
            return cluster.workloads(job["metadata"]["namespace"], f"{JOB_UID_LABEL}={job['metadata']['uid']}")
    return []


def _warnings(cluster: Cluster, namespace: str, objects: list[Object]) -> list[str]:
    found = []
    with contextlib.suppress(Refused):
        for one in objects:
            fields = f"involvedObject.uid={one['metadata']['uid']},type=Warning"
            found += [f"{event.reason}: {event.message}" for event in read_events(cluster.events(namespace, fields))]
    return found


def _refused(what: str, refused: Refused) -> CliError:
    return CliError(f"{what}: {refused}; {RIGHTS}", ExitCode.CLUSTER)

"""A claim that is mounted for the length of a `with`: the helper pod is created, waited for, used, and deleted."""

import contextlib
import signal
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from nnunet_api.refusals import case_of
from nnunet_cli.errors import CliError, ExitCode
from nnunet_cli.kube.answer import Refused
from nnunet_cli.kube.cluster import Cluster, Object
from nnunet_cli.kube.refusals import AMOUNTS, todo
from nnunet_cli.kube.watched import read_events
from nnunet_cli.text.output import note
from nnunet_cli.text.words import duration
from nnunet_cli.volumes import agent, helper, images
from nnunet_cli.volumes.helper import Image
from nnunet_cli.volumes.stream import Remote

POLL_SECONDS = 0.5
PATIENCE_SECONDS = 5.0
"""After this long it is said what is waited for."""
IMAGE_VARIABLE = "NNUNET_IMAGE"
"""Environment variable in the place of --image."""
RIGHTS = "it takes the rights to create, get and delete pods, and to create and get pods/exec"


class NoPod(CliError):
    """The helper pod may not be made, or nothing may be run in it, by this user."""


class Volume:
    """A claim in the helper pod."""

    def __init__(self, cluster: Cluster, namespace: str, pod: str) -> None:
        self._cluster, self._namespace, self._pod = cluster, namespace, pod

    @contextmanager
    def run(self, command: str, folder: str) -> Iterator[Remote]:
        """Run a command of the agent on a folder or file of the claim. Raises CliError."""
        arguments = [*helper.RUN_AGENT, command, helper.ROOT, folder]
        try:
            remote = Remote(self._cluster.run_in_pod(self._namespace, self._pod, helper.CONTAINER, arguments))
        except Refused as refused:
            raise _refused("nothing can be run in the helper pod", refused, self._namespace) from None
        try:
            yield remote
        finally:
            remote.close()


@contextmanager
def mounted(
    cluster: Cluster, namespace: str, claim: str, image: Image, *, read_only: bool, limit_seconds: float
) -> Iterator[Volume]:
    """Mount a claim. Raises CliError where the pod can't be made or does not run in time, with the reason."""
    node = _check_claim(cluster, namespace, claim)
    _delete_leftovers(cluster, namespace)
    source = Path(agent.__file__).read_text(encoding="utf-8")
    make = partial(helper.helper_pod, namespace, claim, image, source, read_only=read_only, node=node)
    try:
        pod = _create(cluster, namespace, [make(resources=resources) for resources in helper.RESOURCES])
    except Refused as refused:
        raise _refused(f"the helper pod that mounts claim {claim} can't be created", refused, namespace) from None
    name = pod["metadata"]["name"]
    note(f"note: helper pod {namespace}/{name} runs the image {image.reference}")
    # A program that is told to end deletes its pod, as with Ctrl-C.
    before = signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    try:
        _wait(cluster, namespace, name, limit_seconds)
        yield Volume(cluster, namespace, name)
    finally:
        _delete(cluster, namespace, name)
        signal.signal(signal.SIGTERM, before)


def _create(cluster: Cluster, namespace: str, bodies: Sequence[Object]) -> Object:
    """Create the first of these pods that the namespace allows. Raises Refused, with what was said of the first."""
    first: Refused | None = None
    for body in bodies:
        try:
            return cluster.create_pod(namespace, body)
        except Refused as refused:
            first = first or refused
            if case_of(str(refused)) not in AMOUNTS:
                break
    assert first is not None
    raise first


def _refused(what: str, refused: Refused, namespace: str) -> CliError:
    kind = NoPod if refused.answer.forbidden else CliError
    return kind(f"{what}: {refused}; {todo(str(refused), namespace, RIGHTS)}", ExitCode.CLUSTER)


def choose_image(cluster: Cluster, given: str | None) -> Image:
    """Return the image that was given, or else the one that the operator was installed with. Raises CliError."""
    if given:
        with contextlib.suppress(Refused):
            return Image(given, security=images.security_of_definition(cluster.definition()))
        return Image(given)
    why = "the definition of trainings does not say which image the operator was installed with"
    try:
        if found := images.image_of_definition(cluster.definition()):
            return found
    except Refused as refused:
        why = f"which image the operator was installed with can't be read: {refused}"
    remedy = f"give one with --image or in {IMAGE_VARIABLE}, such as the chart's trainer.image"
    raise CliError(f"{why}: {remedy}", ExitCode.USAGE)


def _check_claim(cluster: Cluster, namespace: str, claim: str) -> str | None:
    """Return the node that the claim is tied to, if any. Raises CliError for one that can't be mounted."""
    try:
        claims = {body["metadata"]["name"]: body for body in cluster.claims(namespace)}
        if problem := helper.claim_problem(claim, claims.get(claim), list(claims)):
            raise CliError(f"{problem}. In namespace {namespace}", ExitCode.CLUSTER)
        return helper.node_of_claim(claims[claim], cluster.pods(namespace, ""))
    except Refused:
        return None  # who may not read them learns from the pod


def _wait(cluster: Cluster, namespace: str, name: str, limit_seconds: float) -> None:
    started = time.monotonic()
    said = ""
    while True:
        try:
            pod = cluster.pod(namespace, name)
        except Refused as refused:
            words = f"the helper pod can't be looked at: {refused}; {RIGHTS}"
            raise CliError(words, ExitCode.CLUSTER) from None
        waiting = helper.why_waiting(pod, _warnings(cluster, namespace, pod))
        if waiting is None:
            return
        if waiting.hopeless:
            raise CliError(f"the helper pod does not run: {waiting.text}", ExitCode.CLUSTER)
        passed = time.monotonic() - started
        if passed > limit_seconds:
            words = f"the helper pod did not run within {duration(limit_seconds)}: {waiting.text}"
            raise CliError(f"{words}. Wait for longer with --timeout", ExitCode.CLUSTER)
        if passed > PATIENCE_SECONDS and waiting.text != said:
            said = waiting.text
            note(f"note: the helper pod does not run yet: {said}")
        time.sleep(POLL_SECONDS)


def _warnings(cluster: Cluster, namespace: str, pod: Object) -> list[str]:
    fields = f"involvedObject.uid={pod['metadata']['uid']},type=Warning"
    try:
        return [f"{event.reason}: {event.message}" for event in read_events(cluster.events(namespace, fields))]
    except Refused:
        return []


def _delete_leftovers(cluster: Cluster, namespace: str) -> None:
    """Delete helper pods that have ended by themselves, because nobody was left to delete them."""
    with contextlib.suppress(Refused):
        for pod in cluster.pods(namespace, helper.SELECTOR):
            if (pod.get("status") or {}).get("phase") in ("Succeeded", "Failed"):
                cluster.delete_pod(namespace, pod["metadata"]["name"])


def _delete(cluster: Cluster, namespace: str, name: str) -> None:
    try:
        cluster.delete_pod(namespace, name)
    except (Refused, CliError) as error:
        ends = f"it ends by itself {duration(helper.IDLE_SECONDS)} after its last command"
        note(f"note: the helper pod {namespace}/{name} could not be deleted: {error}; {ends}")

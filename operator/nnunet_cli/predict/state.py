"""What a prediction's Job does, or what it came to, in words. Pure."""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from nnunet_api.contract import CONTAINER_NAME
from nnunet_api.kueue import QUEUE_LABEL, workload
from nnunet_api.kueue import why_waiting as why_queued
from nnunet_api.slipped_in import beside, between, shown
from nnunet_cli.kube.cluster import Object
from nnunet_cli.kube.pods import creation, ended, runs, waiting
from nnunet_cli.kube.refusals import todo_of_prediction
from nnunet_cli.predict.job import UNKNOWN_COMMAND
from nnunet_cli.text.words import shorten

_PROGRESS = re.compile(r"nnunet-trainer INFO (?P<what>.{1,300}?): (?P<done>\d+)/(?P<all>\d+ \w+), \d+ s\s*$")
"""A line of the trainer's heartbeat."""
_LONGEST = 1000


@dataclass(frozen=True)
class Ended:
    """What a Job came to."""

    failed: bool
    words: str


def end_of(job: Object, pods: Sequence[Object]) -> Ended | None:
    """Return what a Job came to; None while it has not ended."""
    for condition in (job.get("status") or {}).get("conditions") or []:
        if condition.get("status") == "True" and condition.get("type") in ("Complete", "Failed"):
            if condition["type"] == "Complete":
                return Ended(False, _reported(pods) or "it is done")
            return Ended(True, why_failed(pods) or shorten(str(condition.get("message") or "it has failed"), _LONGEST))
    return None


def why_failed(pods: Sequence[Object]) -> str:
    """Return why the newest pod that has ended did not do its work, with what to do; empty where that is not known."""
    for pod in sorted(pods, key=creation, reverse=True):
        over = ended(pod)
        status = pod.get("status") or {}
        if over is None and status.get("phase") != "Failed":
            continue
        over = over or {}
        if over.get("reason") == "OOMKilled":
            return "it was killed because it needed more memory than it may have: give more with --memory"
        if over.get("exitCode") == UNKNOWN_COMMAND:
            words = "the image's trainer is older than this program and knows no predict"
            return f"{words}: give a trainer image of this release with --image"
        said = [_message(over), str(status.get("reason") or ""), str(status.get("message") or "")]
        code = f"exit code {over['exitCode']}" if "exitCode" in over else ""
        if words := next((one for one in said if one), ""):
            return f"{words} ({code})" if code else words
        return code
    return ""


def _reported(pods: Sequence[Object]) -> str:
    done = [over for pod in sorted(pods, key=creation) if (over := ended(pod)) and over.get("exitCode") == 0]
    return _message(done[-1]) if done else ""


def _message(over: Mapping[str, Any]) -> str:
    """Return the words of a termination message, which is a report in JSON or the end of a log."""
    text = str(over.get("message") or "")
    try:
        content = json.loads(text)
    except (ValueError, RecursionError):
        content = None
    if isinstance(content, dict) and isinstance(content.get("message"), str):
        return shorten(content["message"], _LONGEST)
    lines = [line for line in text.splitlines() if line.strip()]
    return shorten(lines[-1], _LONGEST) if lines else ""


def runs_now(pods: Sequence[Object]) -> Object | None:
    """Return the pod that predicts, if any."""
    return next((pod for pod in sorted(pods, key=creation, reverse=True) if runs(pod)), None)


def why_waiting(job: Object, pods: Sequence[Object], warnings: Sequence[str], workloads: Sequence[Object] = ()) -> str:
    """Return what a Job waits for, none of whose pods runs.

    `warnings` are on Job and pods, oldest first; `workloads` are what Kueue has made of the Job.
    """
    queue = (job["metadata"].get("labels") or {}).get(QUEUE_LABEL)
    if (job.get("spec") or {}).get("suspend"):
        if not queue and not workloads:
            return "somebody has suspended its Job: resume or delete it"
        return ": ".join(part for part in (f"it waits in the queue {queue or ''}".rstrip(), _queued(workloads)) if part)
    for pod in sorted(pods, key=creation, reverse=True):
        if (held := waiting(pod)) is not None:
            return shorten(f"{held.get('reason')}: {held.get('message') or ''}", _LONGEST).rstrip(": ")
        for condition in (pod.get("status") or {}).get("conditions") or []:
            if condition.get("type") == "PodScheduled" and condition.get("status") == "False":
                return f"it has no node: {shorten(str(condition.get('message') or ''), _LONGEST)}"
    if warnings:
        said = shorten(warnings[-1], _LONGEST).rstrip(". ")
        remedy = todo_of_prediction(said, str(job["metadata"].get("namespace")))
        return f"{said}. {remedy}" if remedy else said
    return "its pod is being started" if pods else "its pod is being made"


def _queued(workloads: Sequence[Object]) -> str:
    """Return why Kueue does not let a Job start, in its words; empty where that is not known."""
    if not workloads:
        return ""
    found = workload(workloads[0])
    words = shorten(why_queued(found)[0], _LONGEST)
    return words if found.active else f"{words}. End it by --delete, and call it again when that is mended"


def put_in(job: Object, pods: Sequence[Object]) -> str:
    """Return what somebody else, such as a webhook, has put into its pods, in words; empty where nothing was."""
    asked = _container(job["spec"].get("template") or {})
    found = [what for pod in pods if (has := _container(pod)) for what in between(asked, has)]
    found += [what for pod in pods for what in beside(pod.get("spec") or {}, (CONTAINER_NAME,))]
    if not found:
        return ""
    return (
        f"its pod has {shown(dict.fromkeys(found))}, which was not asked for and by which it can run other code than "
        "its image's: ask who runs the cluster which webhook does that, before you rely on the segmentations"
    )


def _container(pod: Object) -> Object:
    containers: Sequence[Object] = (pod.get("spec") or {}).get("containers") or []
    return next((one for one in containers if one.get("name") == CONTAINER_NAME), {})


def progress_in(log: Sequence[str]) -> str:
    """Return how far a trainer is by the last lines of its log; empty where they don't say it."""
    for line in reversed(log):
        if found := _PROGRESS.search(line):
            return f"{found['what']}: {found['done']} of {found['all']}"
    return ""

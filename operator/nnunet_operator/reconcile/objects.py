"""Reading Jobs and Pods in their JSON form. The only module that knows where Kubernetes keeps what."""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from pydantic import ValidationError

from nnunet_api.contract import CONTAINER_NAME, CONTRACT_ENV, IMAGE_ENV, PREPARE_CONTAINER_NAME, TerminationReport
from nnunet_api.labels import TRAINING_LABEL, short_name
from nnunet_operator.builders.model import Manifest, Training

SPEC_SIZE = "specSize"
"""Key of what is kept of a training whose spec is too large to be kept: its characters."""
LAST_WORDS_LIMIT = 1000
"""Characters of a trainer's message that conditions repeat."""


@dataclass(frozen=True)
class Ending:
    """How a trainer's attempt ended."""

    exit_code: int | None
    """None where the container never ran or the pod was lost."""
    reason: str
    """Kubernetes' word: Error, OOMKilled, Evicted, StartError, ..."""
    report: TerminationReport | None
    last_words: str
    """The report's message, or else the last line that the trainer or Kubernetes left."""
    disrupted: bool
    """Evicted, preempted, or lost with its node: not the trainer's fault."""


def name_of(obj: Manifest) -> str:
    """Return metadata.name."""
    return str(obj["metadata"]["name"])


def uid_of(obj: Manifest) -> str:
    """Return metadata.uid."""
    return str(obj["metadata"].get("uid", ""))


def is_deleting(obj: Manifest) -> bool:
    """Say whether the object waits for its deletion."""
    return bool(obj["metadata"].get("deletionTimestamp"))


def controller_of(obj: Manifest) -> Manifest:
    """Return the controlling owner reference, or {}."""
    references: Iterable[Manifest] = obj["metadata"].get("ownerReferences") or []
    return next((reference for reference in references if reference.get("controller")), {})


def is_child(job: Manifest, training: Training) -> bool:
    """Say whether a Job is the operator's own for a training.

    Its owner alone does not tell: anybody may name any UID as an owner, and a Job without the label would never be seen
    by the watches.
    """
    label = (job["metadata"].get("labels") or {}).get(TRAINING_LABEL)
    return controller_of(job).get("uid") == training.uid and label == short_name(training.name)


def parse_time(text: Any) -> datetime | None:
    """Return a Kubernetes timestamp as a datetime, or None where there is none."""
    if isinstance(text, datetime):
        return text
    return datetime.fromisoformat(str(text).replace("Z", "+00:00")) if text else None


def status_of(obj: Manifest) -> Manifest:
    """Return the status, or {}."""
    return obj.get("status") or {}


def true_condition(obj: Manifest, *types: str) -> Manifest | None:
    """Return the first condition of one of these types that is True, in the order of `types`."""
    conditions: Iterable[Manifest] = status_of(obj).get("conditions") or []
    by_type = {str(condition.get("type")): condition for condition in conditions if condition.get("status") == "True"}
    return next((by_type[type_] for type_ in types if type_ in by_type), None)


def container_named(name: str, containers: Iterable[Manifest] | None) -> Manifest:
    """Return the container, or the status of a container, that has this name, or {}."""
    return next((one for one in containers or () if one.get("name") == name), {})


def told(job: Manifest, variable: str) -> str:
    """Return an environment variable that the operator gave to a Job's trainer; empty where there is none.

    The container is found by its name: webhooks put others before and behind it.
    """
    pod: Manifest = ((job.get("spec") or {}).get("template") or {}).get("spec") or {}
    trainer = container_named(CONTAINER_NAME, pod.get("containers"))
    return next((str(v.get("value") or "") for v in trainer.get("env") or [] if v.get("name") == variable), "")


def asked_image(job: Manifest) -> str:
    """Return the image that the operator asked for when it made the Job; empty where that can't be read.

    Not what the container has: a webhook may have put another registry into it, and would do so again.
    """
    return told(job, IMAGE_ENV).replace("$$", "$")


def told_min_epochs(job: Manifest) -> int:
    """Return the epochs before which the Job's trainer was told not to stop; 0 where that can't be read."""
    text = told(job, CONTRACT_ENV)
    try:
        return int((json.loads(text or "{}").get("policy") or {}).get("minEpochs") or 0)
    except (ValueError, TypeError, AttributeError):
        return 0


def container_statuses(pod: Manifest) -> list[Manifest]:
    """Return the statuses of all containers, those that webhooks injected included."""
    status = status_of(pod)
    return [*(status.get("initContainerStatuses") or []), *(status.get("containerStatuses") or [])]


def trainer_status(pod: Manifest) -> Manifest:
    """Return the status of the trainer's container, or {}."""
    return container_named(CONTAINER_NAME, status_of(pod).get("containerStatuses"))


def trainer_state(pod: Manifest, state: str) -> Manifest | None:
    """Return the trainer container's state `running`, `waiting` or `terminated`, or None if it is in another."""
    body: Manifest | None = (trainer_status(pod).get("state") or {}).get(state)
    return body


def is_over(pod: Manifest) -> bool:
    """Say whether the pod's attempt has ended."""
    return status_of(pod).get("phase") in ("Succeeded", "Failed") or trainer_state(pod, "terminated") is not None


def pods_of(job: Manifest, pods: Iterable[Manifest]) -> list[Manifest]:
    """Return the pods of a Job, oldest first. A pod that lives counts as newer than one that has ended."""
    mine = [pod for pod in pods if controller_of(pod).get("uid") == uid_of(job)]
    # Not by time alone: Kubernetes' timestamps have whole seconds only.
    return sorted(mine, key=lambda pod: (not is_over(pod), str(pod["metadata"].get("creationTimestamp", ""))))


def ending_of(pod: Manifest) -> Ending | None:
    """Return how the pod's attempt ended, or None while it lasts."""
    if not is_over(pod):
        return None
    terminated = _failed_preparation(pod) or trainer_state(pod, "terminated") or {}
    status = status_of(pod)
    report, words = parse_message(str(terminated.get("message") or ""))
    code = terminated.get("exitCode")
    return Ending(
        exit_code=int(code) if code is not None else None,
        reason=str(status.get("reason") or terminated.get("reason") or ""),
        report=report,
        last_words=words or shorten(str(status.get("message") or "")),
        disrupted=true_condition(pod, "DisruptionTarget") is not None,
    )


def _failed_preparation(pod: Manifest) -> Manifest | None:
    """Return how the container ended that makes the folders, where the trainer was not started because of it."""
    prepared = container_named(PREPARE_CONTAINER_NAME, status_of(pod).get("initContainerStatuses"))
    ended: Manifest | None = (prepared.get("state") or {}).get("terminated")
    return ended if ended and ended.get("exitCode") else None


def parse_message(text: str) -> tuple[TerminationReport | None, str]:
    """Return the report in a termination message, and its words.

    A trainer that died before it could report leaves the tail of its log (FallbackToLogsOnError), of which
    the last line is usually the exception.
    """
    try:
        report = TerminationReport.model_validate_json(text.strip())
    except ValidationError:
        lines = [line.strip() for line in text.splitlines() if line.strip()]
        return None, shorten(lines[-1]) if lines else ""
    return report, shorten(report.message.strip())


def shorten(text: str, limit: int = LAST_WORDS_LIMIT) -> str:
    """Return `text` in one line and at most `limit` characters."""
    line = " ".join(text.split())
    return line if len(line) <= limit else f"{line[: limit - 1]}…"

"""The pods of a training: what each one is for, and which of them matter. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from nnunet_api.contract import CONTAINER_NAME
from nnunet_api.labels import (
    FOLD_LABEL,
    STAGE_COMPARE,
    STAGE_EVALUATE,
    STAGE_FOLD,
    STAGE_LABEL,
    STAGE_PLAN,
    STAGE_VERIFY,
)

Pod = dict[str, Any]

_SUBJECTS = {
    STAGE_PLAN: "planning",
    STAGE_VERIFY: "verification",
    STAGE_EVALUATE: "evaluation",
    STAGE_COMPARE: "comparison",
}


@dataclass(frozen=True)
class Wanted:
    """Which pods somebody asks for."""

    stage: str = ""
    """plan, fold, verify or evaluate; empty for all."""
    folds: tuple[str, ...] = ()
    """Names of folds; empty for all."""
    previous: bool = False
    """Earlier attempts, too."""


def choose(pods: Sequence[Pod], wanted: Wanted) -> list[Pod]:
    """Return the pods whose logs matter now, in the order in which they are to be shown.

    These are the ones that run; where none does, the one that ended last; where none has ended, none. Where several
    folds are asked for, so for each of them. With `previous`, all attempts of the same work come before each.
    """
    begun = [pod for pod in sorted(pods, key=_attempt) if has_log(pod) and is_wanted(pod, wanted)]
    if wanted.folds:
        newest = {work(pod): pod for pod in begun}
        chosen = [newest[key] for key in sorted(newest)]
    else:
        chosen = [pod for pod in begun if runs(pod)] or sorted(begun, key=_end)[-1:]
    if not wanted.previous:
        return sorted(chosen, key=work)
    works = {work(pod) for pod in chosen}
    return sorted((pod for pod in begun if work(pod) in works), key=lambda pod: (work(pod), _attempt(pod)))


def work(pod: Pod) -> tuple[str, str]:
    """Return stage and fold of a pod."""
    labels = pod["metadata"].get("labels") or {}
    return labels.get(STAGE_LABEL, ""), labels.get(FOLD_LABEL, "")


def subject(pod: Pod) -> str:
    """Return what a pod does, in words."""
    stage, fold = work(pod)
    return f"fold {fold}" if stage == STAGE_FOLD else _SUBJECTS.get(stage, stage)


def state(pod: Pod) -> str:
    """Return what has become of a pod, in words."""
    if (over := ended(pod)) is not None:
        return f"ended with exit code {over.get('exitCode')}"
    return "running" if runs(pod) else str((pod.get("status") or {}).get("phase") or "Pending")


def runs(pod: Pod) -> bool:
    """Say whether its trainer runs."""
    return "running" in _trainer(pod)


def ended(pod: Pod) -> dict[str, Any] | None:
    """Return how its trainer has ended, or None."""
    over: dict[str, Any] | None = _trainer(pod).get("terminated")
    return over


def waiting(pod: Pod) -> dict[str, Any] | None:
    """Return what its trainer waits for, or None; a container that is merely being created waits for nothing."""
    held: dict[str, Any] | None = _trainer(pod).get("waiting")
    return held if held and held.get("reason") not in ("ContainerCreating", "PodInitializing") else None


def has_log(pod: Pod) -> bool:
    """Say whether its trainer has begun."""
    return runs(pod) or ended(pod) is not None


def creation(pod: Pod) -> str:
    """Return when it was created, and its name, for sorting."""
    return f"{pod['metadata'].get('creationTimestamp')} {pod['metadata']['name']}"


def is_wanted(pod: Pod, wanted: Wanted) -> bool:
    """Say whether it is one of those that are asked for."""
    stage, fold = work(pod)
    return wanted.stage in ("", stage) and (not wanted.folds or fold in wanted.folds)


def _attempt(pod: Pod) -> tuple[bool, str, str, str]:
    """Return what attempts of the same work are sorted by. Times have whole seconds: the one that runs is the last."""
    metadata = pod["metadata"]
    finished = str((ended(pod) or {}).get("finishedAt") or "")
    return runs(pod), str(metadata.get("creationTimestamp")), finished, metadata["name"]


def _end(pod: Pod) -> str:
    return f"{(ended(pod) or {}).get('finishedAt') or ''} {creation(pod)}"


def _trainer(pod: Pod) -> dict[str, Any]:
    for container in (pod.get("status") or {}).get("containerStatuses") or []:
        if container.get("name") == CONTAINER_NAME:
            state: dict[str, Any] = container.get("state") or {}
            return state
    return {}

"""Suspending and resuming: a change of spec.suspend, and the wait for what the operator makes of it."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import Enum

from nnunet_api.conditions import leading
from nnunet_api.reasons import HELD_BY_POLICY, ConditionType, Reason
from nnunet_api.remedies.table import advice
from nnunet_cli.errors import CliError, ExitCode
from nnunet_cli.explain.explanation import SILENCE_SECONDS
from nnunet_cli.kube.answer import Refused
from nnunet_cli.kube.cluster import Cluster, Object
from nnunet_cli.kube.trainings import find_training
from nnunet_cli.kube.watched import Watched, matter, watched
from nnunet_cli.text.words import duration

POLL_SECONDS = 1.0


class State(Enum):
    """How far a change has come."""

    WAITING = "waiting"
    DONE = "done"
    REFUSED = "refused"
    """It will not come about by itself."""


@dataclass(frozen=True)
class Outcome:
    """What is to be said of a change."""

    state: State
    text: str


def judge_suspension(training: Watched) -> Outcome:
    """Return how far a training is on its way to being suspended."""
    status = training.status
    if status.holds(ConditionType.COMPLETE):
        return Outcome(State.DONE, "it is complete: there is nothing left to suspend")
    suspended = status.condition(ConditionType.SUSPENDED)
    if not _is_current(training) or suspended is None or suspended.status != "True":
        return Outcome(State.WAITING, _said(training))
    if suspended.reason in HELD_BY_POLICY:  # nothing runs either way
        return Outcome(State.WAITING, _said(training))
    return Outcome(State.DONE, "suspended: no pod runs, no GPU is held; the checkpoints stay")


def judge_resumption(training: Watched) -> Outcome:
    """Return how far a training is on its way to going on."""
    status = training.status
    if status.holds(ConditionType.COMPLETE):
        return Outcome(State.DONE, "it is complete: there is nothing left to do")
    suspended = status.condition(ConditionType.SUSPENDED)
    if not _is_current(training) or suspended is None:
        return Outcome(State.WAITING, _said(training))
    if suspended.status == "True" and suspended.reason in HELD_BY_POLICY:
        words = f"spec.suspend is false, and yet it does not run, because a policy holds it ({suspended.reason}): "
        return Outcome(State.REFUSED, words + f"{_said(training)}. It goes on by itself as soon as it is allowed")
    if suspended.status == "True" or suspended.reason == Reason.STOPPING:
        return Outcome(State.WAITING, _said(training))
    if training.failed:
        return Outcome(State.REFUSED, f"it has failed: {_said(training)}. {_remedy(training)}")
    if (condition := leading(status.conditions)) is None:
        return Outcome(State.WAITING, _said(training))
    return Outcome(State.DONE, f"resumed. {condition.reason}: {_said(training)}")


def change(cluster: Cluster, training: Object, suspend: bool) -> Object:
    """Write spec.suspend and return the training. Raises CliError where the API server refuses."""
    metadata = training["metadata"]
    # Another training that has taken its name meanwhile is left alone.
    patch = {"metadata": {"uid": metadata["uid"]}, "spec": {"suspend": suspend}}
    try:
        return cluster.change(metadata["namespace"], metadata["name"], patch)
    except Refused as refused:
        wish = "suspended" if suspend else "resumed"
        words = f"training {metadata['name']} can't be {wish}: {refused}"
        by_admission = not refused.answer.forbidden or bool(refused.answer.denials)
        allowed = by_admission or cluster.may("patch", metadata["namespace"])
        raise CliError(words, ExitCode.FOUND if allowed else ExitCode.CLUSTER) from None


def wait(cluster: Cluster, training: Object, judge: Callable[[Watched], Outcome], limit_seconds: float) -> Outcome:
    """Wait until a change has come about or been refused, and return how far it is at the end of the limit.

    A cluster that does not answer meanwhile is waited for, too. Raises CliError where the training is deleted.
    """
    metadata = training["metadata"]
    deadline = time.monotonic() + limit_seconds
    outcome, complaint = judge(watched(training)), ""
    while outcome.state is State.WAITING:
        if time.monotonic() > deadline:
            return Outcome(State.WAITING, _late(training, complaint or outcome.text, limit_seconds))
        time.sleep(POLL_SECONDS)
        try:
            found = find_training(cluster, metadata["namespace"], metadata["name"])
        except CliError as error:
            complaint = str(error)
            continue
        if found is None or found["metadata"]["uid"] != metadata["uid"]:
            raise CliError(f"training {metadata['name']} was deleted meanwhile", ExitCode.FOUND)
        training, complaint = found, ""
        outcome = judge(watched(training))
    return outcome


def _late(training: Object, last: str, limit_seconds: float) -> str:
    words = f"not within {duration(limit_seconds)}; spec.suspend is written, and it comes about by itself. Last: {last}"
    seen = watched(training)
    since = (datetime.now(UTC) - seen.created).total_seconds() if seen.created else 0.0
    if not _is_current(seen) and min(since, limit_seconds) >= min(SILENCE_SECONDS, limit_seconds):
        words += ". The operator has not looked at it: does it run? See kubectl nnunet explain"
    return words


def _is_current(training: Watched) -> bool:
    """Say whether the conditions speak of the present spec."""
    condition = training.status.condition(ConditionType.SUSPENDED)
    return condition is not None and (condition.observed_generation or 0) >= training.generation


def _said(training: Watched) -> str:
    return (matter(training.status) or "the operator has not looked at it yet").rstrip(". ")


def _remedy(training: Watched) -> str:
    """Return what to do about a failure."""
    condition, problem = training.status.condition(ConditionType.FAILED), training.status.problem
    reason = condition.reason if condition else ""
    case = problem.case if problem and problem.reason == reason else ""
    return advice(reason, case, training.name, training.namespace) or "See kubectl nnunet explain"

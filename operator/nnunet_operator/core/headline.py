"""What is going on, in one reason and one sentence: the Progressing condition."""

from collections.abc import Collection, Iterable
from dataclasses import dataclass

from nnunet_api.local_copy import CopyState
from nnunet_api.reasons import Reason
from nnunet_api.remedies.remedy import Case
from nnunet_api.remedies.table import advice
from nnunet_api.stages import STAGES
from nnunet_operator.core.local_copy import stated
from nnunet_operator.core.observation import Child, Observation, State, Trouble
from nnunet_operator.core.stages import Stages

_OLD_TRAINER = "its image is older than the operator and tells no epochs: its log does, and this status at its end"

_PAUSE = "starts after a pause, because its Job before was lost"


def to_get_the_right(said: str) -> str:
    """Return what to do where the API server's words are that the operator lacks a right, else an empty string."""
    return advice(Reason.POD_REJECTED, Case.RIGHTS, "", "") if "is forbidden" in said else ""


@dataclass(frozen=True)
class Headline:
    """Progressing's status and reason, and what there is to say of it."""

    progressing: bool
    reason: Reason
    matter: str
    troubles: tuple[Trouble, ...] = ()
    """What the matter tells of that something is to be done about, the leading one first."""


def of_running(
    found: Stages, creating: frozenset[Child], held_back: Collection[Child], max_parallel_folds: int
) -> Headline:
    """Return the headline of a training that shall run.

    `held_back` are the children whose Job was lost, and for which the next one is made after a pause.
    """
    current = found.current
    states = {_state(observation, creating) for observation in current}
    wait = f"waits until another is done (spec.maxParallelFolds is {max_parallel_folds})"
    clauses = [(o.child, _clause(o, creating, _PAUSE if o.child in held_back else wait)) for o in current]
    clauses += [(o.child, _waits(found, o.child)) for o in found.waiting]
    matter = _sentence(clauses) + _kept(current)
    # What ended the attempt before one that starts, too: it may be due again.
    hindered = (State.BLOCKED, State.STARTING)
    troubles = tuple(o.trouble for o in current if o.trouble and _state(o, creating) in hindered)
    if State.RUNNING in states:
        return Headline(True, STAGES[current[0].child.stage].running, matter, troubles)
    for state, reason in ((State.STARTING, Reason.STARTING), (State.STOPPING, Reason.STOPPING)):
        if state in states:
            return Headline(True, reason, matter, troubles)
    return Headline(not troubles, troubles[0].reason if troubles else Reason.STARTING, matter, troubles)


def _waits(found: Stages, child: Child) -> str:
    """Return what a child waits for, as a clause: the folds of the previous stage of its cascade."""
    before = [one.fold for one in found.after[child] if one.fold]
    done = len(before) - len(found.waits_for(child))
    of_replicate = f" in replicate {before[0].replicate}" if before[0].replicate else ""
    return (
        f"waits for the folds of {before[0].configuration}{of_replicate}, on whose predictions it learns ({done} of "
        f"{len(before)} done)"
    )


def of_stopping(children: Iterable[Observation], why: str) -> Headline | None:
    """Return the headline while these Jobs are being stopped, or None where there are none."""
    stopping = list(children)
    if not stopping:
        return None
    subjects = ", ".join(observation.child.subject for observation in stopping)
    notes = "".join(f"; {one.child.subject} {one.note}" for one in stopping if one.state is State.STOPPING and one.note)
    return Headline(True, Reason.STOPPING, f"{subjects}: being stopped because {why}{notes}{_kept(stopping)}")


def _kept(children: Iterable[Observation]) -> str:
    """Return what to add where Jobs should be gone, and can't be deleted."""
    said = dict.fromkeys(one.kept for one in children if one.kept)
    return "".join(
        f"; the API server refuses to delete its Job, which is tried again: {words}"
        + (f". {todo}" if (todo := to_get_the_right(words)) else "")
        for words in said
    )


def _state(observation: Observation, creating: frozenset[Child]) -> State:
    # A Job that is created now reads the same as one that has just been created: one status write less.
    if observation.child in creating and observation.state is State.ABSENT:
        return State.STARTING
    return observation.state


def _clause(observation: Observation, creating: frozenset[Child], wait: str) -> str:
    """Return what a child does, as a clause that starts with a verb.

    `wait` is that of one for which nothing is made yet.
    """
    state = _state(observation, creating)
    if state is State.RUNNING:
        verb = STAGES[observation.child.stage].verb
        copy = stated(observation.live.local_copy) if observation.live else None
        if copy and copy.words:
            return copy.words if copy.state is CopyState.COPYING else f"{verb} and {copy.words}"
        return f"{verb} ({_OLD_TRAINER})" if observation.sample and observation.sample.facts is None else verb
    if state is State.STARTING:
        starts = "starts after a pause" if wait == _PAUSE else "starts"
        return f"{starts} ({observation.note})" if observation.note else starts
    if state is State.STOPPING:
        return observation.note or "is stopped and starts again after that"
    if observation.trouble:
        return observation.trouble.matter
    return wait


def _sentence(clauses: Iterable[tuple[Child, str]]) -> str:
    """Join the clauses; folds of which the same is to be said share one."""
    grouped: dict[str, list[Child]] = {}
    for child, clause in clauses:
        grouped.setdefault(clause, []).append(child)
    return "; ".join(_with_subject(children, clause) for clause, children in grouped.items())


def _with_subject(children: list[Child], clause: str) -> str:
    if len(children) == 1:
        return f"{children[0].subject} {clause}"
    names = [child.fold.name for child in children if child.fold]
    return f"each of folds {', '.join(names[:-1])} and {names[-1]} {clause}"

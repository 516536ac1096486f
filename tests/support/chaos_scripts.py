"""What becomes of each training of a chaos: drawn from a seed, and what it may then end as."""

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from random import Random

from nnunet_api.exit_codes import ExitCode
from tests.support import sizes
from tests.support.api import Object
from tests.support.mutations import KINDS, RULES


class End(StrEnum):
    """How an attempt ends."""

    GOOD = "good"
    CRASH = "crash"
    """Exit code 1: counts against retryLimit."""
    PREEMPTED = "preempted"
    """Exit code 75, and Kubernetes knows why."""
    EVICTED = "evicted"
    """By its node, and Kubernetes does not count it."""
    OVER_LIMIT = "over its limit"
    """Evicted for a limit of its own: Kubernetes takes it for the trainer's failure."""
    STOPPED_OVER_LIMIT = "stopped over its limit"
    """The same of a trainer that leaves in time."""
    TURNED_AWAY = "turned away"
    FORGOTTEN = "forgotten"
    """Its node was started anew and does not know how it ended."""
    BY_SIDECAR = "by a sidecar"
    """The trainer succeeds; a container that somebody put beside it fails."""
    LINGERING = "lingering"
    """The trainer succeeds; a container beside it goes on for a while."""
    WRONG_DATA = "wrong data"
    WRONG_CONFIGURATION = "wrong configuration"
    STORAGE_FULL = "storage full"
    OUT_OF_MEMORY = "out of memory"
    SHORT = "short"
    """Exit code 0 of a fold that did not train all epochs."""


PASSING = (
    *[End.PREEMPTED] * 2,
    *[End.EVICTED] * 2,
    *[End.TURNED_AWAY] * 3,
    End.OVER_LIMIT,
    End.STOPPED_OVER_LIMIT,
    End.FORGOTTEN,
    End.CRASH,
)
"""Ends after which another attempt goes on."""
TERMINAL: Mapping[End, str] = {
    End.WRONG_DATA: "WrongData",
    End.WRONG_CONFIGURATION: "WrongConfiguration",
    End.STORAGE_FULL: "StorageFailed",
    End.OUT_OF_MEMORY: "OutOfMemory",
    End.SHORT: "EpochsNotReached",
}
"""By ends that no further attempt can mend, so that each attempt of that child ends so: the reason of the failure."""
CODES: Mapping[End, int] = {
    End.GOOD: 0,
    End.LINGERING: 0,
    End.SHORT: 0,
    End.CRASH: 1,
    End.PREEMPTED: int(ExitCode.PREEMPTED),
    End.STOPPED_OVER_LIMIT: int(ExitCode.PREEMPTED),
    End.WRONG_DATA: int(ExitCode.WRONG_DATA),
    End.WRONG_CONFIGURATION: int(ExitCode.WRONG_CONFIGURATION),
    End.STORAGE_FULL: int(ExitCode.STORAGE_FAILED),
    End.OUT_OF_MEMORY: 137,
}
"""Exit codes of trainers; without one for ends in which the container has no status or an unknown one."""
LOST = (End.OVER_LIMIT, End.STOPPED_OVER_LIMIT, End.TURNED_AWAY, End.FORGOTTEN, End.BY_SIDECAR)
"""Ends for which a Job may be made anew."""


@dataclass
class Life:
    """A training of the chaos, and what was done to it."""

    name: str
    folds: list[int]
    retry_limit: int
    rules: tuple[str, ...]
    """Foreign rules that change its Jobs and pods."""
    ends: dict[str, list[End]] = field(default_factory=dict)
    """By child ("plan", "fold-0", ...): how its attempts end; the last one counts for all that follow."""
    attempts: Counter[str] = field(default_factory=Counter)
    """By child: attempts so far."""
    done: dict[str, Counter[str]] = field(default_factory=dict)
    """By child: what was done to it. Ends, and what people did."""

    def body(self, namespace: str) -> Object:
        """Return the training to create."""
        spec = {
            "dataset": {"name": "Dataset004_Hippocampus"},
            "folds": self.folds,
            "schedule": {"epochs": 10},
            "retryLimit": self.retry_limit,
            "resources": {"cpu": "1", "memory": "1Gi", "preprocessing": {"cpu": "1", "memory": "1Gi"}},
        }
        return {
            "apiVersion": "nnunet.dev/v1alpha1",
            "kind": "NnunetTraining",
            "metadata": {"name": self.name, "namespace": namespace},
            "spec": spec,
        }

    @property
    def told(self) -> str:
        """What was to become of it, and what was done to it, in words."""
        ends = {child: [str(end) for end in ends] for child, ends in self.ends.items()}
        done = {child: {str(what): times for what, times in all_.items()} for child, all_ in self.done.items()}
        return f"{self.name} (retryLimit {self.retry_limit}, ends {ends}, done {done})"

    @property
    def children(self) -> list[str]:
        """Its Jobs, without its name."""
        return ["plan", *(f"fold-{fold}" for fold in self.folds), "verify", "evaluate"]

    def next_end(self, child: str, beside: bool) -> End:
        """Return how the next attempt of a child ends; `beside`: another container is in its pod."""
        ends = self.ends[child]
        end = ends[min(self.attempts[child], len(ends) - 1)]
        self.attempts[child] += 1
        if not beside and end in (End.BY_SIDECAR, End.LINGERING):
            return End.GOOD
        return end

    def note(self, child: str, what: str) -> None:
        """Note what was done to a child."""
        self.done.setdefault(child, Counter())[what] += 1

    def count(self, child: str, *what: str) -> int:
        """Return how often any of these was done to a child."""
        done = self.done.get(child, Counter())
        return sum(done[one] for one in what)


def draw(random: Random, number: int) -> Life:
    """Draw a training."""
    rules = tuple(random.sample(sorted(RULES), random.choice((0, 1, 1, 2, 3))))
    folds = sorted(random.sample(range(5), random.choice((1, 1, 2))))
    life = Life(f"c{number}-{'-'.join((*rules, 'x'))}", folds, random.randint(1, 3), rules)
    failing = random.choice(life.children) if random.random() < 0.3 else ""
    hindered = random.sample(life.children, random.randint(1, sizes.CHAOS_HINDRANCES))
    # Each stage that is hindered costs a wait, by Kubernetes or the operator, and twice in a row two more.
    last_ends = (End.GOOD, End.GOOD, End.LINGERING, *([End.BY_SIDECAR] if sizes.CHAOS_HINDRANCES > 1 else []))
    for child in life.children:
        ends = [random.choice((*PASSING, *[End.BY_SIDECAR] * 3))] if child in hindered else []
        last = random.choice(last_ends)
        if child == failing:
            last = random.choice([end for end in TERMINAL if end is not End.SHORT or child.startswith("fold")])
        life.ends[child] = [*ends, last, *([End.GOOD] if last in (End.GOOD, End.LINGERING, End.BY_SIDECAR) else [])]
    return life


def faults(life: Life, training: Object, jobs: Mapping[str, int], kills: int) -> Iterator[str]:
    """Yield what is wrong about a training that has ended.

    `jobs` are the Jobs that were made, by child. The operator was killed so many times, and may have missed as
    many ends of Jobs that were deleted at once.
    """
    missed = kills if "ttl" in life.rules else 0
    status = training.get("status", {})
    conditions = {one["type"]: one for one in status.get("conditions", [])}
    failed, complete = conditions.get("Failed", {}), conditions.get("Complete", {})
    if failed.get("status") == "True":
        yield from _faults_of_failure(life, failed, missed)
    elif complete.get("status") == "True":
        yield from _faults_of_success(life, status)
    else:
        yield f"has not ended: {status.get('phase')}: {conditions.get('Progressing', {}).get('message')}"
    image = (status.get("provenance") or {}).get("image")
    if image not in (None, "registry.example/trainer:1"):
        yield f"took {image} for the trainer's image"
    for child, made in jobs.items():
        asked = 1 + missed + life.count(child, *LOST, "deleted", "suspended", "retried", "evidence gone")
        if made > asked:
            yield f"made {made} Jobs of {child}, where what was done to it asks for {asked} at most"


def _faults_of_failure(life: Life, failed: Object, missed: int) -> Iterator[str]:
    reason = failed["reason"]
    causes = {TERMINAL[end]: end for child in life.children for end in TERMINAL if life.count(child, end)}
    limit = life.retry_limit
    if any(life.count(child, End.CRASH, "removed") > limit for child in life.children):
        causes["RetriesExhausted"] = End.CRASH
    if any(missed + life.count(child, "deleted", "evidence gone") > limit for child in life.children):
        causes["OutcomeLost"] = End.GOOD
    if "mir" in life.rules:
        causes["EpochsNotReached"] = End.SHORT
    if reason not in causes:
        yield f"failed for a reason that is not true: {reason}: {failed['message']}"


def _faults_of_success(life: Life, status: Object) -> Iterator[str]:
    for child in life.children:
        if not life.count(child, End.GOOD, End.LINGERING, End.BY_SIDECAR):
            yield f"is complete although {child} never ended well"
        if wrong := [end for end in life.ends[child] if end in TERMINAL]:
            yield f"is complete although {child} can't be: {wrong}"
    if "mir" in life.rules:
        yield "is complete although its verification ran another image"
    for fold in status["folds"]:
        if (fold["phase"], fold.get("epoch"), fold.get("provenEpochs")) != ("Completed", 10, 10):
            yield f"is complete with {fold}"


assert set(KINDS) == set(RULES)

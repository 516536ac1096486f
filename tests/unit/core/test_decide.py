"""A training from its first look to its end, on whatever runs it: nothing here is of Kubernetes."""

from dataclasses import dataclass, field, replace

import pytest

from nnunet_api.contract import TerminationReport
from nnunet_api.evaluation_facts import EvaluationFacts
from nnunet_api.reasons import Reason
from nnunet_operator.core.decide import decide
from nnunet_operator.core.decision import Decision, Stop
from nnunet_operator.core.observation import Child, Observation, State, Trouble
from nnunet_operator.core.pipeline import children
from nnunet_operator.core.policies import Policies
from nnunet_operator.core.training import Options, Training
from tests.support.made_trainings import NOW, training
from tests.support.made_worlds import evidence_of, stored
from tests.support.plan_facts import PLAN_FACTS

THREE = training(folds=[0, 1, 2], maxParallelFolds=2, schedule={"epochs": 10})


@dataclass
class Executor:
    """Runs children: what it started runs until the test says how it ended."""

    training: Training
    seen: dict[Child, Observation] = field(default_factory=dict)

    def look(self) -> Decision:
        """Decide once, do it, and keep the status."""
        absent = {child: Observation(child, State.ABSENT, name_free=True) for child in children(self.training)}
        result = decide(self.training, {**absent, **self.seen}, Policies(), NOW, Options(trainer_image="x"))
        for stop in result.stop:
            assert self.seen.pop(stop.child).job_uid == stop.job_uid
        for child in result.start:
            assert child not in self.seen, f"{child.name} was started already"
            self.seen[child] = Observation(child, State.RUNNING, job_uid=f"process of {child.name}", created=NOW)
        self.training = replace(self.training, status=stored(result.status))
        return result

    def end(self, child: Child) -> None:
        """Let a child end well, with all reports that any stage is asked for."""
        report = TerminationReport(
            message="done",
            plan=PLAN_FACTS,
            evidence=evidence_of(self.training),
            evaluation=EvaluationFacts(mean_validation_dice=0.8),
        )
        self.seen[child] = replace(
            self.seen[child],
            state=State.COMPLETED,
            ended=True,
            success_seen=True,
            report=report,
            success_report=report,
            finished=NOW,
        )


def names(result: Decision) -> list[str]:
    return [child.name for child in result.start]


def test_a_training_runs_to_its_end_without_anything_of_kubernetes() -> None:
    executor = Executor(THREE)
    started = []
    for _ in range(10):
        result = executor.look()
        started.append(names(result))
        running = [child for child, seen in executor.seen.items() if seen.state is State.RUNNING]
        if not running:
            break
        executor.end(running[0])
    assert started == [
        ["hippo-plan"],
        ["hippo-fold-0", "hippo-fold-1"],
        ["hippo-fold-2"],
        [],
        ["hippo-verify"],
        ["hippo-evaluate"],
        [],
    ]
    assert executor.training.status.phase == "Completed"
    assert executor.look().actions == ()


def test_suspending_stops_what_runs_and_no_more() -> None:
    executor = Executor(THREE)
    executor.look()
    (plan,) = executor.seen
    executor.end(plan)
    executor.look()
    suspended = THREE.spec.model_copy(update={"suspend": True})
    executor.training = replace(executor.training, spec=suspended)
    assert executor.look().actions == tuple(
        Stop(child, f"process of {child.name}") for child in children(THREE) if child.name[-1] in "01"
    )
    assert list(executor.seen) == [plan] and executor.look().actions == ()


@pytest.mark.parametrize(
    ("seen", "phase"),
    [
        ({"state": State.BLOCKED, "trouble": Trouble(Reason.WAITING_FOR_GPU, "waits for a GPU")}, "WaitingForGPU"),
        ({"state": State.FAILED, "trouble": Trouble(Reason.WRONG_DATA, "planning: no image")}, "Failed"),
        ({"state": State.STARTING}, "Pending"),
        ({"state": State.RUNNING}, "Planning"),
    ],
)
def test_the_phase_is_that_of_what_was_observed(seen: dict[str, object], phase: str) -> None:
    executor = Executor(THREE)
    executor.look()
    (plan,) = executor.seen
    executor.seen[plan] = replace(executor.seen[plan], **seen)  # type: ignore[arg-type]
    assert executor.look().status.phase == phase

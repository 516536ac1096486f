"""What becomes of a comparison."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from nnunet_api.comparison.contract import CandidateFacts, ComparisonFacts, DifferenceFacts
from nnunet_api.reasons import Reason
from nnunet_operator.core.comparison.decide import decide
from nnunet_operator.core.comparison.decision import ComparisonDecision, DeleteComparison, Seen, StopJob
from nnunet_operator.core.comparison.model import Compare, Comparison, JobSeen
from nnunet_operator.core.observation import State, Trouble
from tests.support.made_comparisons import ARMS, UID, arm, comparison
from tests.support.made_trainings import NOW

READY = {"long": arm("long"), "short": arm("short")}
ABSENT = JobSeen(State.ABSENT, name_free=True)
RUNNING = JobSeen(State.RUNNING, uid="j")
FOUND = CandidateFacts(arm="fast", verdict="NonInferior", difference=-0.002, low=-0.006, high=0.002)


def decided(of: Comparison, job: JobSeen = ABSENT, trainings: Any = None, seconds: float = 0) -> ComparisonDecision:
    return decide(Seen(of, READY if trainings is None else trainings, job, NOW + timedelta(seconds=seconds)))


def after(decision: ComparisonDecision, **spec: Any) -> Comparison:
    return comparison(status=decision.status, **spec)


def completed(of: Comparison, **facts: Any) -> JobSeen:
    registration = of.status.registration
    assert registration is not None
    known = {"uid": UID, "registration": registration.digest, "candidates": [FOUND], "cases": 40}
    return JobSeen(State.COMPLETED, uid="j", ended=True, facts=ComparisonFacts.model_validate(known | facts))


def said(decision: ComparisonDecision, type_: str = "Progressing") -> tuple[str, str]:
    condition = decision.status.condition(type_)
    assert condition is not None
    return condition.status, condition.reason


def test_it_starts_its_job_once_and_takes_its_verdict() -> None:
    first = decided(comparison())
    (action,) = first.actions
    assert isinstance(action, Compare) and [one.name for one in action.trainings] == ["long", "short"]
    assert said(first) == ("True", "Starting")
    running = decided(after(first), RUNNING)
    assert running.actions == () and said(running) == ("True", "Comparing")
    done = decided(after(running), completed(after(running)))
    assert done.actions == () and said(done, "Complete") == ("True", "VerdictFound")
    assert said(done, "Comparable") == ("True", "ConditionsEqual")
    assert (done.status.verdict, done.status.difference) == ("NonInferior", "-0.0020 (-0.0060 to +0.0020)")
    assert [event.reason for event in (*first.events, *running.events, *done.events)] == [
        "Registered", "Starting", "Comparing", "VerdictFound",
    ]  # fmt: skip
    for trainings in ({}, READY):
        later = decided(after(done), ABSENT, trainings)
        assert later.status == done.status and later.actions == (), "a verdict stays, whatever becomes of the trainings"


@pytest.mark.parametrize(
    ("facts", "words"),
    [
        ({"uid": "another"}, "said nothing that can be read"),
        ({"registration": "0" * 64}, "said nothing that can be read"),
        ({"candidates": []}, "it tells of none"),
        ({"candidates": [FOUND.model_copy(update={"arm": "other"})]}, "it tells of other"),
    ],
)
def test_a_verdict_on_something_else_is_none(facts: dict[str, Any], words: str) -> None:
    of = after(decided(comparison()))
    decision = decided(of, completed(of, **facts))
    assert said(decision, "Failed") == ("True", "OutcomeLost") and decision.status.verdict is None
    assert words in str(decision.status.condition("Failed"))


def test_a_verdict_that_is_not_believed_says_why() -> None:
    of = after(decided(comparison()))
    decision = decided(of, replace(completed(of), facts=None, doubt="pod x has image other:1"))
    assert "pod x has image other:1" in str(decision.status.condition("Failed"))


def test_what_the_runs_tell_ends_it() -> None:
    of = after(decided(comparison()))
    decision = decided(of, completed(of, candidates=[], differences=[DifferenceFacts(path="device", matter="a; b")]))
    assert said(decision, "Failed") == ("True", "NotComparable")
    assert decision.status.phase == decision.status.verdict == "NotComparable"
    assert "device: a; b" in str(decision.status.summary)


def test_what_can_not_be_compared_stops_what_runs() -> None:
    decision = decided(comparison(varies=["earlyStopping"]), RUNNING)
    assert said(decision, "Failed") == ("True", "NotComparable") and decision.actions == (StopJob("j"),)
    again = decided(after(decision, varies=["earlyStopping"], suspend=True), RUNNING)
    assert again.status == decision.status, "trying again can't mend it"


def test_an_arm_that_is_gone_ends_it_and_is_asked_for_first() -> None:
    first = decided(comparison(), ABSENT, {"long": arm("long", complete=False)})
    decision = decided(after(first), ABSENT, {})
    assert said(decision, "Failed") == ("True", "ArmChanged") and decision.in_doubt == ("long",)
    other = decided(after(first), ABSENT, {"long": replace(arm("long"), uid="another")})
    assert said(other, "Failed") == ("True", "ArmChanged")


def test_a_suspended_one_has_no_job() -> None:
    stopping = decided(comparison(suspend=True), RUNNING)
    assert stopping.actions == (StopJob("j"),) and said(stopping) == ("True", "Stopping")
    rests = decided(after(stopping, suspend=True))
    assert rests.actions == () and said(rests, "Suspended") == ("True", "SuspendedByUser")
    assert rests.status.registration is not None, "what is compared is registered all the same"
    resumed = decided(after(rests))
    assert isinstance(resumed.actions[0], Compare) and "Resumed" in [event.reason for event in resumed.events]


def test_a_failed_one_is_tried_again_by_suspending_and_resuming() -> None:
    failed_job = JobSeen(State.FAILED, uid="j", ended=True, trouble=Trouble(Reason.RETRIES_EXHAUSTED, "it failed"))
    failed = decided(after(decided(comparison())), failed_job)
    assert said(failed, "Failed") == ("True", "RetriesExhausted") and failed.status.completion_time == NOW
    assert "set spec.suspend of the comparison to true" in str(failed.status.condition("Failed"))
    assert decided(after(failed), failed_job).actions == ()
    stopping = decided(after(failed, suspend=True), failed_job)
    assert stopping.actions == (StopJob("j"),) and not stopping.status.holds("Failed")
    assert stopping.status.completion_time is None


@pytest.mark.parametrize(
    ("state", "reason", "phase"),
    [
        (
            JobSeen(State.BLOCKED, uid="j", trouble=Trouble(Reason.IMAGE_UNAVAILABLE, "waits for image x")),
            "ImageUnavailable",
            "Blocked",
        ),
        (JobSeen(State.STOPPING, note="waits until pod p has ended"), "Stopping", "Stopping"),
        (JobSeen(State.STARTING, uid="j", note="the attempt before was preempted"), "Starting", "Pending"),
    ],
)
def test_what_stands_in_the_way_is_told(state: JobSeen, reason: str, phase: str) -> None:
    decision = decided(comparison(), state)
    assert said(decision)[1] == reason and decision.status.phase == phase and decision.actions == ()


def test_its_time_to_live_begins_with_its_end() -> None:
    of = after(decided(comparison()))
    done = decided(of, completed(of))
    assert decided(after(done)).requeue_after is None
    kept = decided(after(done, ttlSecondsAfterFinished=60), seconds=20)
    assert kept.actions == () and kept.requeue_after == 40
    assert decided(after(done, ttlSecondsAfterFinished=60), seconds=60).actions == (DeleteComparison(),)


def test_one_that_is_being_deleted_starts_nothing() -> None:
    assert decided(comparison(deleting=True)).actions == ()
    assert decided(comparison(deleting=True), RUNNING).actions == (StopJob("j"),)


def test_arms_in_another_order_than_registered_end_it() -> None:
    """The first is the baseline: in another order the verdict would be about something else."""
    first = after(decided(comparison()))
    assert first.status.registration and first.status.registration.digest
    swapped = replace(first, spec=comparison(arms=ARMS[::-1]).spec)
    assert said(decided(swapped), "Failed") == ("True", "ArmChanged")

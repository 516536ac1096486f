"""What becomes of a comparison."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from nnunet_api.comparison.contract import CandidateFacts, ComparisonFacts, DifferenceFacts
from nnunet_api.conditions import Condition
from nnunet_api.initial_weights import InitialWeights, TrainingWeights
from nnunet_api.policy.status import AcceptedComparison, AppliedPolicies, PolicyDecision
from nnunet_api.reasons import Reason
from nnunet_api.remedies.remedy import Case
from nnunet_operator.core.comparison.decide import decide
from nnunet_operator.core.comparison.decision import ComparisonDecision, DeleteComparison, Seen, StopJob
from nnunet_operator.core.comparison.model import Compare, Comparison, JobSeen
from nnunet_operator.core.observation import State, Trouble
from nnunet_operator.core.training import Training
from tests.support.made_comparisons import ARMS, UID, arm, comparison, condition
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
    done = decided(after(running), completed(after(running), log_hash="a" * 64))
    assert done.status.log_hash == "a" * 64, "by which its log is known"
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


@pytest.mark.parametrize(
    ("looks", "words"),
    [
        (2, "has been looked at 3 times in this namespace"),
        (0, "is not known: no NnunetTestSet of this namespace"),
        (None, ""),
    ],
)
def test_a_verdict_says_how_often_its_test_set_was_looked_at(looks: int | None, words: str) -> None:
    """The evaluations of its arms are looks: none is none that was counted."""
    of = after(decided(comparison()))
    notes = decide(Seen(of, READY, completed(of), NOW, looks=looks)).status.notes
    assert any(words in note for note in notes) if words else not any("looked at" in note for note in notes)


@pytest.mark.parametrize(("indicative", "told"), [(True, True), (False, False)])
def test_what_weights_have_seen_is_told_where_there_is_no_test_set(indicative: bool, told: bool) -> None:
    begins = InitialWeights(training=TrainingWeights(name="base"))
    short = READY["short"]
    fine = {**READY, "short": replace(short, spec=short.spec.model_copy(update={"initial_weights": begins}))}
    varies: dict[str, Any] = {"varies": ["schedule.epochs", "initialWeights"]}
    words = "may be among those that the weights have seen"
    spec: dict[str, Any]
    for trainings, spec, expected in ((fine, varies, told), (READY, {}, False)):
        of = after(decided(comparison(**spec), trainings=trainings), **spec)
        done = decided(of, completed(of, indicative=indicative), trainings)
        assert done.status.verdict and any(words in note for note in done.status.notes) == expected


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


@pytest.mark.parametrize("again", [False, True], ids=["deleted", "another under its name"])
def test_a_losing_replicate_can_not_be_taken_out_of_its_arm(again: bool) -> None:
    """It was seen with the others. That the rest of the arm is there, and is complete, is not enough."""
    arms = [{"name": "standard", "trainings": ["long"]}, {"name": "fast", "trainings": ["short", "unlucky"]}]
    every = READY | {"unlucky": arm("unlucky", trainer={"seed": 7})}
    seeds: dict[str, Any] = {"varies": ["schedule.epochs", "trainer.seed"], "arms": arms}
    first = decided(comparison(**seeds, suspend=True), ABSENT, every)
    left = READY | ({"unlucky": replace(every["unlucky"], uid="luckier")} if again else {})
    decision = decided(after(first, **seeds), ABSENT, left)
    assert said(decision, "Failed") == ("True", "ArmChanged") and "unlucky" in str(decision.status.condition("Failed"))
    assert not any(isinstance(action, Compare) for action in decision.actions)


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


def test_lost_pods_are_no_failure_of_the_comparison() -> None:
    lost = JobSeen(State.FAILED, uid="j", ended=True, trouble=Trouble(Reason.PODS_LOST, "preempted", Case.CHANGED))
    message = str(decided(after(decided(comparison())), lost).status.condition("Failed"))
    assert "label nnunet.dev/comparison left out" in message and "set spec.suspend of the comparison" in message


def test_the_job_of_a_failed_one_does_not_go_on_trying() -> None:
    """One that was killed for memory has failed, and its Job would make the next pod."""
    going = JobSeen(State.FAILED, uid="j", trouble=Trouble(Reason.OUT_OF_MEMORY, "it was killed"))
    failed = decided(after(decided(comparison())), going)
    assert said(failed, "Failed") == ("True", "OutOfMemory")
    assert failed.actions == () and failed.requeue_after == 0, "the status tells of it first"
    stopped = decided(after(failed), going)
    assert stopped.actions == (StopJob("j"),) and stopped.status == failed.status
    assert decided(after(failed), replace(going, deleting=True)).actions == ()
    assert decided(after(failed)).actions == (), "and it is not made anew"
    assert isinstance(decided(after(decided(after(failed, suspend=True)))).actions[0], Compare)


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


def judged(**changes: Any) -> Training:
    """Return training `short`, for whose sake policy `p` asks for the verdict."""
    compared = PolicyDecision(policy="p", generation=1, mode="Enforce", outcome="Compared")
    found = PolicyDecision(policy="q", generation=1, mode="Enforce", outcome="Allowed")
    record = AppliedPolicies(decided_at=NOW, decisions=[compared, found], accepted=changes.pop("accepted", []))
    made = arm("short", comparison=changes.pop("comparison", "shorter"))
    status = made.status.model_copy(update={"policy": record})
    extra = changes.pop("condition", None)
    conditions = [*status.conditions, extra] if extra else status.conditions
    return replace(made, status=status.model_copy(update={"conditions": conditions}), **changes)


ACCEPTED = AcceptedComparison(
    **{
        "policy": "p",
        "comparison": "shorter",
        "uid": UID,
        "registration": "d",
        "arm": "fast",
        "verdict": "NonInferior",
    },
    **{"generation": 1, "difference": 0.0, "low": 0.0, "high": 0.0, "max_dice_loss": 0.01, "accepted_at": NOW},
)
LOST = Condition(
    type="PolicyCompliant", status="False", reason="ComparisonFailed", message="", last_transition_time=NOW
)


@pytest.mark.parametrize(
    ("training", "waits"),
    [
        (judged(), True),
        (judged(accepted=[ACCEPTED]), False),
        (judged(accepted=[ACCEPTED.model_copy(update={"policy": "q"})]), True),
        (judged(condition=LOST), False),
        (judged(condition=condition("Failed", "RetriesExhausted")), False),
        (judged(comparison=None), False),
        (judged(comparison="another"), False),
        (judged(uid="another"), False),
        (judged(deleting=True), False),
        (arm("short", comparison="shorter"), False),  # no policy asks
        (None, False),
    ],
)
def test_a_verdict_stays_until_the_trainings_that_need_it_have_it(training: Training | None, waits: bool) -> None:
    """Also with a time to live that ran out before anybody could look at it."""
    of = after(decided(comparison()))
    done = after(decided(of, completed(of)), ttlSecondsAfterFinished=0)
    seen = {"long": READY["long"], **({"short": training} if training else {})}
    decision = decided(done, ABSENT, seen, seconds=9)
    assert decision.actions == (() if waits else (DeleteComparison(),))
    if waits:
        assert decision.requeue_after == 5
        assert "waited for: training short by policy p" in str(decision.status.condition("Progressing"))
        assert decision.status.verdict == done.status.verdict and decision.status.holds("Complete")
        later = decided(after(decision, ttlSecondsAfterFinished=0), ABSENT, seen, seconds=99)
        assert later.status == decision.status, "it is said once"


def test_one_that_is_being_deleted_starts_nothing() -> None:
    assert decided(comparison(deleting=True)).actions == ()
    assert decided(comparison(deleting=True), RUNNING).actions == (StopJob("j"),)


@pytest.mark.parametrize(
    "changes",
    [
        {"arms": ARMS[::-1]},  # the first is the baseline
        {"arms": [{"name": "standard", "trainings": ["long"], "patch": {"a": 1}}, ARMS[1]]},
        {"arms": [{**ARMS[0], "name": "other"}, ARMS[1]]},
        {"maxDiceLoss": 0.02},
    ],
)
def test_what_is_not_as_it_was_registered_ends_it(changes: dict[str, Any]) -> None:
    """The API server holds open objects of as many other keys for equal: the verdict would be about something else."""
    first = after(decided(comparison()))
    assert first.status.registration and first.status.registration.digest
    changed = replace(first, spec=comparison(**changes).spec)
    decision = decided(changed, RUNNING)
    assert said(decision, "Failed") == ("True", "ArmChanged") and decision.actions == (StopJob("j"),)
    assert "spec is not the one that was registered" in str(decision.status.condition("Failed"))
    assert decision.status.registration == first.status.registration
    done = decided(first, completed(first))
    kept = replace(after(done), spec=changed.spec)
    assert decided(kept).status == done.status, "a verdict stays: who accepts it holds it against its digest"


def test_what_may_change_changes_no_digest() -> None:
    first = after(decided(comparison()))
    free = comparison(retryLimit=7, resources={"memory": "8Gi"}, queueName="fast", ttlSecondsAfterFinished=60).spec
    assert said(decided(replace(first, spec=free)))[1] == "Starting"

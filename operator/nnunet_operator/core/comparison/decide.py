"""What becomes of a comparison: wait for its trainings, start its Job, take its verdict, end."""

from collections.abc import Sequence
from dataclasses import replace

from nnunet_api.comparison.conditions import Difference
from nnunet_api.comparison.contract import ComparisonFacts
from nnunet_api.comparison.power import expectation
from nnunet_api.comparison.reasons import FINAL, ComparisonReason
from nnunet_api.comparison.reasons import ComparisonConditionType as Type
from nnunet_api.comparison.registration import is_as_registered
from nnunet_api.comparison.stated import Specs
from nnunet_api.comparison.status import Registration
from nnunet_api.comparison.template import FaultyTemplate, made_specs
from nnunet_api.comparison.words import sentence
from nnunet_api.reasons import Reason
from nnunet_api.remedies.remedy import Case
from nnunet_api.test_set import MAX_LEDGERS
from nnunet_operator.core.comparison import arms, making
from nnunet_operator.core.comparison.decision import Action, ComparisonDecision, Seen, StopJob
from nnunet_operator.core.comparison.ended import ended
from nnunet_operator.core.comparison.events import events
from nnunet_operator.core.comparison.model import Compare, Comparison, Make
from nnunet_operator.core.comparison.status import Standing, difference_words, is_final, with_standing, with_suspended
from nnunet_operator.core.observation import State, Trouble
from nnunet_operator.core.training import Training

_LOOKS = (
    "this test set has been looked at {} times in this namespace, this comparison included: the more often, the less "
    "it says of new cases"
)

_UNCOUNTED = (
    "how often this test set has been looked at is not known: no NnunetTestSet of this namespace counts its looks, as "
    f"there are no more than {MAX_LEDGERS} of them (Event LookNotCounted)"
)
_KNOWN_CASES = (
    "the arms begin with other weights, and there is no test set: cases on which they were validated here may be among "
    "those that the weights have seen, and an arm then looks better than it is"
)
_CHANGED = (
    "spec is not the one that was registered, whose digest status.registration has: its arms, their order or patches, "
    "or the template have changed since"
)


def decide(seen: Seen) -> ComparisonDecision:
    """Return the decision on a comparison."""
    comparison, status = seen.comparison, seen.comparison.status
    if comparison.deleting:
        # Only the finalizer of somebody else keeps it: nothing of it runs on meanwhile.
        going = seen.job.stands and not seen.job.ended
        return ComparisonDecision(status, actions=(StopJob(seen.job.uid),) if going else ())
    failed = status.condition(Type.FAILED)
    tried = failed is not None and failed.status == "True" and failed.reason != Reason.INVALID_SPEC  # else valid now
    if is_final(status) or (tried and not comparison.spec.suspend):
        return ended(seen)
    if not is_as_registered(comparison.spec, status):
        before = status.registration or Registration()
        return _decision(seen, before, Standing(ComparisonReason.ARM_CHANGED, _CHANGED, failed=True))
    try:
        specs = made_specs(comparison.spec, comparison.name)
    except FaultyTemplate as fault:
        before = status.registration or Registration()
        return _decision(seen, before, Standing(ComparisonReason.INVALID_TEMPLATE, str(fault), failed=True))
    return _with_specs(making.without_strangers(seen, specs), specs)


def _with_specs(seen: Seen, specs: Specs) -> ComparisonDecision:
    """Return the decision on a comparison that goes on. `specs` are those of the trainings that it makes."""
    comparison = seen.comparison
    registration = arms.registered(comparison, seen.trainings, seen.now)
    if changed := arms.changed(registration, seen.trainings):
        names = ", ".join(f"{one.name} of arm {one.arm} (UID {one.uid})" for one in changed)
        standing = Standing(
            ComparisonReason.ARM_CHANGED,
            f"trainings that were registered are gone, or others have their names: {names}",
            failed=True,
        )
        return _decision(seen, registration, standing, in_doubt=tuple(one.name for one in changed))
    if differing := arms.not_comparable(comparison, seen.trainings, specs):
        return _decision(seen, registration, _differs(differing))
    if comparison.spec.suspend:
        return _suspended(seen, registration)
    resume = making.to_suspend(comparison, seen.trainings, False) if comparison.status.holds(Type.SUSPENDED) else ()
    if resume and seen.refused:
        return _decision(seen, registration, _not_set(seen, "resumed"), resume)
    if taken := making.in_the_way(comparison, seen.trainings):
        return _decision(seen, registration, Standing(ComparisonReason.TRAINING_REFUSED, taken), resume)
    if make := making.missing(comparison, seen.trainings, specs):
        return _decision(seen, registration, _making(seen, make), (*resume, make))
    waits, failed = arms.awaited(comparison, seen.trainings)
    if waits:
        reason = ComparisonReason.ARM_FAILED if failed else ComparisonReason.WAITING_FOR_ARMS
        return _decision(seen, registration, Standing(reason, f"waits for its arms: {waits}"), resume)
    return _of_job(seen, registration)


def _making(seen: Seen, make: Make) -> Standing:
    if not seen.refused:
        matter = f"the trainings {', '.join(sorted(make.specs))} are being created"
        return Standing(Reason.STARTING, matter, Case.SAID, working=True)
    said = "; ".join(f"training {name} can't be created: {words}" for name, words in sorted(seen.refused.items()))
    return Standing(ComparisonReason.TRAINING_REFUSED, said)


def _not_set(seen: Seen, done: str) -> Standing:
    """Return the standing of a suspended comparison whose trainings can't be suspended or resumed."""
    return Standing(Reason.SUSPENDED_BY_USER, making.not_set_words(seen.refused, done), suspended=True)


def _suspended(seen: Seen, registration: Registration) -> ComparisonDecision:
    """Return the decision on a comparison that shall do nothing: its Job goes, so that resuming makes it anew."""
    suspend = making.to_suspend(seen.comparison, seen.trainings, True)
    if suspend and not seen.comparison.status.holds(Type.SUSPENDED):
        # By its status it is known what to resume: that is written before anything is suspended.
        standing = Standing(
            Reason.SUSPENDED_BY_USER, "spec.suspend is true: its trainings are suspended", suspended=True
        )
        return replace(_decision(seen, registration, standing), requeue_after=0.0)
    if suspend and seen.refused:
        return _decision(seen, registration, _not_set(seen, "suspended"), suspend)
    if seen.job.uid:
        said = "its Job is being stopped: spec.suspend is true"
        standing = Standing(Reason.STOPPING, said, Case.SAID, working=True)
        return _decision(seen, registration, standing, (StopJob(seen.job.uid),) if seen.job.stands else ())
    standing = Standing(Reason.SUSPENDED_BY_USER, "spec.suspend is true", suspended=True)
    return _decision(seen, registration, standing, suspend)


def _of_job(seen: Seen, registration: Registration) -> ComparisonDecision:
    """Return the decision on a comparison whose trainings can all be compared."""
    job, comparison = seen.job, seen.comparison
    if job.state is State.COMPLETED:
        return _decision(seen, registration, _outcome(seen, registration))
    if job.state is State.FAILED and job.trouble:
        decision = _decision(seen, registration, _failed(job.trouble))
        return decision if job.ended else replace(decision, requeue_after=0.0)  # to stop what goes on trying
    if job.state is State.BLOCKED and job.trouble:
        trouble = job.trouble
        standing = Standing(trouble.reason, f"the comparison {trouble.matter}", trouble.case)
        return _decision(seen, registration, standing, _start(seen, registration) if job.name_free else ())
    if job.state is State.STOPPING:
        said = job.note or "its Job is being stopped, and is made anew after that"
        return _decision(seen, registration, Standing(Reason.STOPPING, said, Case.SAID, working=True))
    running = job.state is State.RUNNING
    verb = "is being computed" if running else "is about to be computed"
    note = f" ({job.note})" if job.note else ""
    standing = Standing(
        ComparisonReason.COMPARING if running else Reason.STARTING,
        f"all arms of {comparison.name} are complete and proven; the verdict {verb}{note}",
        Case.SAID,
        working=True,
    )
    return _decision(seen, registration, standing, _start(seen, registration) if job.name_free else ())


def _start(seen: Seen, registration: Registration) -> tuple[Action, ...]:
    comparison = seen.comparison
    trainings = tuple(
        one for name in comparison.spec.training_names if isinstance(one := seen.trainings[name], Training)
    )
    return (Compare(arms.contract_of(comparison, seen.trainings, registration.digest or ""), trainings),)


def _outcome(seen: Seen, registration: Registration) -> Standing:
    """Return what a Job that has completed came to. Nothing is believed that is not about this comparison."""
    job, facts = seen.job, seen.job.facts
    if facts is None or facts.uid != seen.comparison.uid or facts.registration != registration.digest:
        why = job.doubt or "its pod was gone before its verdict was read, or said nothing that can be read"
        return Standing(Reason.OUTCOME_LOST, f"there is no verdict that can be believed: {why}", failed=True)
    if facts.differences:
        return _differs([Difference(one.path, one.matter) for one in facts.differences])
    if wrong := _wrong_arms(seen.comparison, facts):
        return Standing(
            Reason.OUTCOME_LOST, f"the verdict is not about the arms of this comparison: {wrong}", failed=True
        )
    spec = seen.comparison.spec
    if seen.looks is not None and not facts.indicative:
        # The trainings' own evaluations are looks: without any nobody has counted.
        said = _LOOKS.format(seen.looks + 1) if seen.looks else _UNCOUNTED
        facts = facts.model_copy(update={"notes": [*facts.notes, said]})
    if facts.indicative and _begin_differently(seen):
        facts = facts.model_copy(update={"notes": [*facts.notes, _KNOWN_CASES]})
    said = ". ".join(sentence(one, spec.baseline_arm.name, spec.max_dice_loss) for one in facts.candidates)
    return Standing(ComparisonReason.VERDICT_FOUND, said, facts=facts)


def _begin_differently(seen: Seen) -> bool:
    trainings = [one for one in seen.trainings.values() if isinstance(one, Training)]
    begins = [one.spec.initial_weights for one in trainings]
    return any(one != begins[0] for one in begins)


def _wrong_arms(comparison: Comparison, facts: ComparisonFacts) -> str:
    wanted = [arm.name for arm in comparison.spec.candidates]
    found = [one.arm for one in facts.candidates]
    return "" if wanted == found else f"it tells of {', '.join(found) or 'none'}"


def _differs(found: Sequence[Difference]) -> Standing:
    matter = f"the arms can't be compared: {difference_words(found)}"
    return Standing(ComparisonReason.NOT_COMPARABLE, matter, failed=True, differences=found)


def _failed(trouble: Trouble) -> Standing:
    return Standing(trouble.reason, trouble.matter, trouble.case, failed=True)


def _decision(
    seen: Seen,
    registration: Registration,
    standing: Standing,
    actions: tuple[Action, ...] = (),
    in_doubt: tuple[str, ...] = (),
) -> ComparisonDecision:
    comparison, for_good = seen.comparison, standing.failed and standing.reason in FINAL
    if for_good and (going_on := making.going_on(comparison, seen.trainings)):
        said = f"what it has made goes on until spec.suspend of the comparison is true: training {', '.join(going_on)}"
        standing = replace(standing, matter=f"{standing.matter}; {said}")
    status = with_standing(comparison, registration, standing, seen.now)
    power = expectation(comparison.spec, seen.pilot)[:512]
    status = status.model_copy(update={"power": power or None})
    over = status.holds(Type.COMPLETE) or status.holds(Type.FAILED)
    ttl = comparison.spec.ttl_seconds_after_finished
    look = float(ttl) if over and ttl is not None else seen.job.look_in_seconds
    if for_good:
        going = seen.job.stands and not seen.job.ended
        actions = (*actions, StopJob(seen.job.uid)) if going else actions
        held = comparison.status.holds(Type.SUSPENDED)
        if held:  # else nobody would know any more what to resume
            status = with_suspended(replace(comparison, status=status), True, "what it has made is suspended", seen.now)
        look = 0.0 if held != comparison.spec.suspend else look
    return ComparisonDecision(status, actions, events(comparison.status, status), look, in_doubt)

"""What becomes of a comparison: wait for its trainings, start its Job, take its verdict, end."""

from collections.abc import Sequence
from datetime import datetime, timedelta

from nnunet_api.comparison.conditions import Difference
from nnunet_api.comparison.contract import ComparisonFacts
from nnunet_api.comparison.reasons import ComparisonConditionType as Type
from nnunet_api.comparison.reasons import ComparisonReason
from nnunet_api.comparison.status import NnunetComparisonStatus, Registration
from nnunet_api.comparison.words import sentence
from nnunet_api.reasons import Reason
from nnunet_api.remedies.remedy import Case
from nnunet_operator.core.comparison import arms
from nnunet_operator.core.comparison.decision import Action, ComparisonDecision, DeleteComparison, Seen, StopJob
from nnunet_operator.core.comparison.events import events
from nnunet_operator.core.comparison.model import Compare, Comparison
from nnunet_operator.core.comparison.status import Standing, difference_words, is_final, with_standing
from nnunet_operator.core.observation import State, Trouble
from nnunet_operator.core.training import Training


def decide(seen: Seen) -> ComparisonDecision:
    """Return the decision on a comparison."""
    comparison, status = seen.comparison, seen.comparison.status
    if comparison.deleting:
        # Only the finalizer of somebody else keeps it: nothing of it runs on meanwhile.
        going = seen.job.stands and not seen.job.ended
        return ComparisonDecision(status, actions=(StopJob(seen.job.uid),) if going else ())
    if is_final(status) or (status.holds(Type.FAILED) and not comparison.spec.suspend):
        return _ended(comparison, status, seen.now)
    registration = arms.registered(comparison, seen.trainings, seen.now)
    if arms.reordered(comparison):
        said = "the order of the arms, and so the baseline, is not the one that was registered"
        return _decision(seen, registration, Standing(ComparisonReason.ARM_CHANGED, said, failed=True))
    if changed := arms.changed(registration, seen.trainings):
        names = ", ".join(f"{one.name} of arm {one.arm} (UID {one.uid})" for one in changed)
        standing = Standing(
            ComparisonReason.ARM_CHANGED,
            f"trainings that were registered are gone, or others have their names: {names}",
            failed=True,
        )
        return _decision(seen, registration, standing, in_doubt=tuple(one.name for one in changed))
    if differing := arms.not_comparable(comparison, seen.trainings):
        return _decision(seen, registration, _differs(differing))
    if comparison.spec.suspend:
        return _suspended(seen, registration)
    waits, failed = arms.awaited(comparison, seen.trainings)
    if waits:
        reason = ComparisonReason.ARM_FAILED if failed else ComparisonReason.WAITING_FOR_ARMS
        return _decision(seen, registration, Standing(reason, f"waits for its arms: {waits}"))
    return _of_job(seen, registration)


def _ended(comparison: Comparison, status: NnunetComparisonStatus, now: datetime) -> ComparisonDecision:
    ttl, since = comparison.spec.ttl_seconds_after_finished, status.completion_time
    if ttl is None or since is None:
        return ComparisonDecision(status)
    left = (since + timedelta(seconds=ttl) - now).total_seconds()
    if left > 0:
        return ComparisonDecision(status, requeue_after=left)
    return ComparisonDecision(status, actions=(DeleteComparison(),))


def _suspended(seen: Seen, registration: Registration) -> ComparisonDecision:
    """Return the decision on a comparison that shall do nothing: its Job goes, so that resuming makes it anew."""
    if seen.job.uid:
        said = "its Job is being stopped: spec.suspend is true"
        standing = Standing(Reason.STOPPING, said, Case.SAID, working=True)
        return _decision(seen, registration, standing, (StopJob(seen.job.uid),) if seen.job.stands else ())
    return _decision(seen, registration, Standing(Reason.SUSPENDED_BY_USER, "spec.suspend is true", suspended=True))


def _of_job(seen: Seen, registration: Registration) -> ComparisonDecision:
    """Return the decision on a comparison whose trainings can all be compared."""
    job, comparison = seen.job, seen.comparison
    if job.state is State.COMPLETED:
        return _decision(seen, registration, _outcome(seen, registration))
    if job.state is State.FAILED and job.trouble:
        return _decision(seen, registration, _failed(job.trouble))
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
    said = ". ".join(sentence(one, spec.baseline_arm.name, spec.max_dice_loss) for one in facts.candidates)
    return Standing(ComparisonReason.VERDICT_FOUND, said, facts=facts)


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
    status = with_standing(seen.comparison, registration, standing, seen.now)
    if standing.failed and standing.reason in (ComparisonReason.NOT_COMPARABLE, ComparisonReason.ARM_CHANGED):
        going = seen.job.stands and not seen.job.ended
        actions = (*actions, StopJob(seen.job.uid)) if going else actions
    told = events(seen.comparison.status, status)
    over = status.holds(Type.COMPLETE) or status.holds(Type.FAILED)
    ttl = seen.comparison.spec.ttl_seconds_after_finished
    look = float(ttl) if over and ttl is not None else seen.job.look_in_seconds
    return ComparisonDecision(status, actions, told, look, in_doubt)

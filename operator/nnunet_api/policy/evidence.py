"""Whether a comparison stands in the place of rules that a training breaks. Pure.

What is asked of the comparison keeps it from being made so that it comes out well: see decision 25.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from nnunet_api.comparison.conditions import Conditions, is_below, of_provenance, of_spec
from nnunet_api.comparison.model import NnunetComparisonSpec
from nnunet_api.comparison.reasons import FINAL, ComparisonConditionType
from nnunet_api.comparison.registration import is_as_registered
from nnunet_api.comparison.status import CandidateVerdict, NnunetComparisonStatus, RegisteredTraining
from nnunet_api.comparison.words import points
from nnunet_api.policy.decision import Policy
from nnunet_api.policy.model import ComparisonTerms
from nnunet_api.policy.rules import Standing, told, violations
from nnunet_api.policy.status import AcceptedComparison
from nnunet_api.reasons import ConditionType
from nnunet_api.schedule import STANDARD_ITERATIONS
from nnunet_api.status import NnunetTrainingStatus
from nnunet_api.training import NnunetTrainingSpec

LARGEST_ALPHA = 0.05
"""Largest error (two-sided) that a comparison may be registered with: a larger one makes its intervals narrower."""
_ITERATIONS = "schedule.iterationsPerEpoch"
_PLANS, _IMAGE = "plansHash", "trainer.image"
_SHOWN = 3
_FREE = ("schedule.epochs", "trainer.seed", "resources.gpus", "dataset", "folds", "testSet", "evaluation")
"""Where a baseline need not have the default: of epochs the policy has its minimum, seeds are many, and in the rest no
comparison lets arms differ."""


@dataclass(frozen=True)
class Trained:
    """A training, as it is."""

    name: str
    uid: str
    spec: NnunetTrainingSpec
    status: NnunetTrainingStatus


@dataclass(frozen=True)
class Compared:
    """A comparison that a training names, as it is."""

    uid: str
    spec: NnunetComparisonSpec
    status: NnunetComparisonStatus
    trainings: Mapping[str, Trained]
    """The trainings of its arms by name, as far as they are there."""
    looks: int = 0
    """How often its test set has been looked at, in all namespaces that the operator knows."""
    looks_here: int = 0
    """The same in its own namespace."""


@dataclass(frozen=True)
class Judgement:
    """Whether a comparison stands in the place of broken rules."""

    accepted: AcceptedComparison | None
    """What was accepted; None where nothing was."""
    matter: str
    """What it rests on, or why it does not count."""
    failed: bool = False
    """It will never count."""


class _No(Exception):
    """Why it does not count, or not yet."""

    def __init__(self, matter: str, failed: bool = True) -> None:
        super().__init__(matter)
        self.failed = failed


def judge(training: Trained, policy: Policy, standing: Standing, compared: Compared | None, now: datetime) -> Judgement:
    """Return whether the comparison that a training names counts for a policy, after its exception (`standing`)."""
    said = f"NnunetComparison {training.spec.comparison}"
    if standing.terms is None:
        return Judgement(None, f"policy {policy.name} accepts no comparison any more", failed=True)
    if compared is None:
        return Judgement(None, f"{said} is not there, or can't be read")
    try:
        accepted = _accepted(training, policy, standing, compared, now)
    except _No as why:
        return Judgement(None, f"{said} {why}", why.failed)
    return Judgement(accepted, accepted_words(accepted))


def accepted_words(accepted: AcceptedComparison) -> str:
    """Return what was accepted in words."""
    return (
        f"policy {accepted.policy} accepts NnunetComparison {accepted.comparison}: {accepted.verdict} at a margin of "
        f"{points(accepted.max_dice_loss)} against {', '.join(accepted.baseline)}"
    )


def terms_words(terms: ComparisonTerms) -> str:
    """Return what is asked of a comparison in words."""
    replicates = f"{terms.min_replicates} replicate{'s' if terms.min_replicates > 1 else ''}"
    verdicts = ", ".join(verdict.value for verdict in terms.verdicts)
    return f"one of {verdicts} at a margin of at most {points(terms.max_dice_loss)}, with {replicates} in each arm"


def _accepted(
    training: Trained, policy: Policy, standing: Standing, compared: Compared, now: datetime
) -> AcceptedComparison:
    """Return what is accepted. Raises _No. What can be told before anything is trained comes first."""
    terms = standing.terms or ComparisonTerms()
    _check_terms(compared.spec, terms)
    if not is_as_registered(compared.spec, compared.status):
        raise _No("is not what was registered: its arms, patches or template have changed since")
    arm, baselines = _registered(training, compared)
    for one in baselines:
        _check_baseline(training, policy, compared.trainings.get(one.name), one)
    verdict = _verdict(arm, terms, compared)
    for one in baselines:
        _check_proven(policy, compared.trainings.get(one.name), one)
        _check_made(training, compared, one.name)
    if standing.max_test_looks is not None:
        _check_looks(training, policy, standing.max_test_looks, compared, [one.name for one in baselines])
    registration = compared.status.registration
    return AcceptedComparison(
        policy=policy.name,
        generation=policy.generation,
        comparison=training.spec.comparison or "",
        uid=compared.uid,
        registration=(registration.digest if registration else None) or "",
        arm=arm,
        baseline=[one.name for one in baselines],
        verdict=verdict.verdict,
        difference=verdict.difference,
        low=verdict.low,
        high=verdict.high,
        max_dice_loss=compared.spec.max_dice_loss,
        accepted_at=now.replace(microsecond=0),
    )


def _check_terms(spec: NnunetComparisonSpec, terms: ComparisonTerms) -> None:
    """Raise _No for what was registered and asks for less than the policy."""
    if spec.max_dice_loss > terms.max_dice_loss:
        raise _No(f"has spec.maxDiceLoss {spec.max_dice_loss:g}, must be at most {terms.max_dice_loss:g}")
    if spec.alpha > LARGEST_ALPHA:
        raise _No(f"has spec.alpha {spec.alpha:g}, must be at most {LARGEST_ALPHA:g}")
    if spec.classes:
        raise _No(f"has spec.classes {', '.join(spec.classes[:_SHOWN])}, must leave them out: all classes count")


def _registered(training: Trained, compared: Compared) -> tuple[str, list[RegisteredTraining]]:
    """Return the training's arm, and the trainings of the baseline, as they were registered."""
    registration = compared.status.registration
    known = registration.trainings if registration else []
    own = next((one for one in known if one.uid == training.uid), None)
    if own is None:
        seen_all = registration is not None and registration.digest is not None
        raise _No(f"has no arm with training {training.name} (UID {training.uid})", failed=seen_all)
    baseline = compared.spec.baseline_arm.name
    if own.arm == baseline:
        raise _No(f"has training {training.name} in its baseline {baseline}, must have it in another arm")
    if late := [one.name for one in known if one.arm == own.arm and one.complete]:
        names = ", ".join(late[:_SHOWN])
        raise _No(f"was made when {names} of arm {own.arm} were complete: their scores could be known")
    return own.arm, [one for one in known if one.arm == baseline]


def _check_baseline(training: Trained, policy: Policy, one: Trained | None, registered: RegisteredTraining) -> None:
    """Raise _No for a baseline that does not keep the policy, or is weaker than the standard where they differ."""
    if one is None or one.uid != registered.uid:
        raise _No(f"has training {registered.name} in its baseline, which is gone: nobody can tell what it kept")
    # Without any exception: what an exception lets pass is no measure for others.
    if broken := violations(one.spec, Standing(policy.spec.rules)):
        raise _No(f"has a baseline that breaks policy {policy.name}: training {one.name}: {told(broken)}")
    if weak := list(_off_standard(one, training.spec)):
        raise _No(
            f"has a baseline that differs from training {training.name} in what is not nnU-Net's standard: training "
            f"{one.name}: {'; '.join(weak[:_SHOWN])}: leave the baseline's at its default, or give both the same"
        )


def _off_standard(baseline: Trained, candidate: NnunetTrainingSpec) -> Iterator[str]:
    """Yield where the baseline is other than the candidate, and not as it would be by default: it may be weak."""
    spec = baseline.spec
    own, others = of_spec(spec), of_spec(candidate)
    standard = of_spec(NnunetTrainingSpec(dataset=spec.dataset))
    for path in sorted({*own, *others}):
        value = own.get(path)
        if value == others.get(path) or value == standard.get(path) or any(is_below(path, free) for free in _FREE):
            continue
        if path == _ITERATIONS and spec.schedule.iterations_per_epoch >= STANDARD_ITERATIONS:
            continue
        if is_below(path, "earlyStopping") and not spec.early_stopping.can_end_early:
            continue
        yield f"{path} is {value}"
    if spec.trainer.image and spec.trainer.image != candidate.trainer.image:
        yield f"trainer.image is {spec.trainer.image}"


def _verdict(arm: str, terms: ComparisonTerms, compared: Compared) -> CandidateVerdict:
    """Return the verdict on an arm, where it is one of those that the policy accepts."""
    status = compared.status
    failed = status.condition(ComparisonConditionType.FAILED)
    if failed and failed.status == "True":
        raise _No(f"has failed ({failed.reason}): {failed.message}", failed=failed.reason in FINAL)
    if not status.holds(ComparisonConditionType.COMPLETE):
        raise _No(f"has no verdict yet ({status.phase or 'Pending'})", failed=False)
    found = next((one for one in status.verdicts if one.arm == arm), None)
    if found is None:
        raise _No(f"has no verdict on arm {arm}")
    if status.indicative is not False or found.verdict not in list(terms.verdicts):
        accepted = ", ".join(verdict.value for verdict in terms.verdicts)
        raise _No(f"came to {found.verdict} for arm {arm}, must be one of {accepted}")
    replicates = {one.name: one.replicates for one in status.arms}
    for name in (arm, compared.spec.baseline_arm.name):
        if replicates.get(name, 0) < terms.min_replicates:
            few = replicates.get(name, 0)
            raise _No(f"has {few} replicates in arm {name}, must have at least {terms.min_replicates}")
    return found


def _check_proven(policy: Policy, one: Trained | None, registered: RegisteredTraining) -> None:
    """Raise _No for a baseline that was not trained for as long as the policy asks for, by its checkpoints."""
    status = one.status if one else NnunetTrainingStatus()
    if not (status.holds(ConditionType.COMPLETE) and status.holds(ConditionType.EPOCHS_PROVEN)):
        raise _No(f"has training {registered.name} in its baseline, which is not complete and proven")
    least = Standing(policy.spec.rules).proven_epochs
    proven = min((fold.proven_epochs or 0 for fold in status.folds), default=0)
    if proven < least:
        raise _No(
            f"has training {registered.name} in its baseline, whose checkpoints prove {proven} epochs, must be at "
            f"least {least} by policy {policy.name}"
        )


def _check_made(training: Trained, compared: Compared, name: str) -> None:
    """Raise _No for a baseline that was not made as its spec says: from other plans, or by another image.

    Specs that agree in planning, initial weights, configuration and image give the same plans. Where they are not the
    same, one of the specs was another when it was trained.
    """
    one = compared.trainings[name]
    own, others = _made(training), _made(one)
    if _planned(training.spec) != _planned(one.spec):
        return
    varied = any(is_below(_IMAGE, path) for path in compared.spec.varies)
    for path in (_PLANS,) if varied else (_PLANS, _IMAGE):
        value, other = own.get(path), others.get(path)
        if value is None or value != other:
            raise _No(
                f"has training {name} in its baseline, whose status.provenance has {path} {other}, and training "
                f"{training.name} has {value}, though both specs are the same in planning, configuration and "
                "trainer.image: train both anew, and compare these"
            )


def _made(one: Trained) -> Conditions:
    return of_provenance(one.status.provenance) if one.status.provenance else {}


def _planned(spec: NnunetTrainingSpec) -> tuple[Any, ...]:
    # The plans come with the weights.
    return spec.planning, spec.initial_weights, spec.configuration_names, spec.trainer.image


def _check_looks(training: Trained, policy: Policy, most: int, compared: Compared, baselines: list[str]) -> None:
    """Raise _No where a test set was looked at too often, or nobody can tell how often."""
    known = {one.name: _test_set(one) for one in (training, *(compared.trainings[name] for name in baselines))}
    asked = f"the maxTestLooks of policy {policy.name}"
    if unknown := [name for name, images in known.items() if images is None]:
        raise _No(
            f"has training {', '.join(unknown[:_SHOWN])} without status.results.testSetHash, and {asked} can't be told "
            "without: train and evaluate anew with this version of the trainer's image, and compare these"
        )
    if len(set(known.values())) > 1:
        told_ = ", ".join(f"{name}: {images}" for name, images in known.items())
        raise _No(f"has trainings with several test sets (status.results.testSetHash: {told_}): {asked} is for one")
    if not compared.looks_here:
        # The trainings' own evaluations are looks: without any the ledger is behind, gone, or one too many.
        raise _No(
            f"rests on a test set whose looks are not counted in this namespace, and {asked} can't be told without: "
            "the operator counts them within a minute, where there are fewer than 200 NnunetTestSets",
            failed=False,
        )
    if compared.looks > most:
        raise _No(
            f"rests on a test set that has been looked at more than {most} times, {asked} ({compared.looks_here} times "
            "in this namespace): take one that nobody has seen"
        )


def _test_set(one: Trained) -> str | None:
    return one.status.results.test_set_hash if one.status.results else None

"""The decision on one training by all policies."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from nnunet_api.policy.model import (
    CLINICAL_LABEL,
    LONGEST_EXCEPTION_DAYS,
    ComparisonTerms,
    NnunetTrainingPolicySpec,
    Outcome,
    PolicyException,
    PolicyMode,
)
from nnunet_api.policy.rules import COMPARABLE, Standing, Violation, told, violations
from nnunet_api.policy.selector import is_for
from nnunet_api.remedies.table import POLICY_REMEDY
from nnunet_api.training import NnunetTrainingSpec

_BROKEN = {PolicyMode.ENFORCE: Outcome.DENIED, PolicyMode.WARN: Outcome.WARNED, PolicyMode.AUDIT: Outcome.AUDITED}


@dataclass(frozen=True)
class Policy:
    """A stored NnunetTrainingPolicy, parsed."""

    name: str
    generation: int
    spec: NnunetTrainingPolicySpec


@dataclass(frozen=True)
class Subject:
    """What is decided on."""

    namespace: str
    name: str
    spec: NnunetTrainingSpec
    verifier: str = ""
    """The image that is yet to verify it: the operator's own. Empty where that is not known, or is done."""
    weights_claim: str = ""
    """The claim from which the weights of another training are yet to be copied. Empty where none are, or it is not
    known, as at admission."""
    slipped_in: tuple[str, ...] = ()
    """What others have put into its pods (`nnunet_api.slipped_in`), as its status says."""


@dataclass(frozen=True)
class Verdict:
    """What one policy came to."""

    policy: Policy
    outcome: Outcome
    violations: tuple[Violation, ...]
    """What is broken, but for what a comparison may stand for."""
    exception: PolicyException | None
    """The exception that was applied, if any."""
    lapsed: PolicyException | None
    """The exception that names the training and does not count, because of its time."""
    proven_epochs: int
    """Epochs that it asks to be trained and proven; 0 for none, and where it is not enforced."""
    compared: tuple[Violation, ...] = ()
    """What is broken and a comparison has to stand for: the training names one, and the policy asks for its verdict."""
    terms: ComparisonTerms | None = None
    """What that comparison has to come to; None where nothing is `compared`."""

    @property
    def matter(self) -> str:
        """What is broken; empty where nothing is."""
        broken = told(self.violations)
        return f"policy {self.policy.name}: {broken}" if broken else ""

    @property
    def message(self) -> str:
        """What is broken and what to do, word for word as at admission; empty where nothing is."""
        return f"{self.matter}: {POLICY_REMEDY}" if self.violations else ""


@dataclass(frozen=True)
class Decision:
    """What all policies came to."""

    verdicts: tuple[Verdict, ...] = ()
    """One for each policy that is for the training, those that stand in its way first, then those that a comparison
    has to stand for, then by name."""
    missing: bool = False
    """The namespace is clinical and no policy is for it."""
    next_change: datetime | None = field(default=None, compare=False)
    """When the clock alone next changes it: an exception that was applied ends, or another one begins to count."""

    @property
    def allowed(self) -> bool:
        """Whether the training may run."""
        return not self.missing and all(verdict.outcome is not Outcome.DENIED for verdict in self.verdicts)

    @property
    def min_epochs(self) -> int:
        """Epochs that the strictest enforced policy asks to be trained and proven; 0 for none."""
        return max((verdict.proven_epochs for verdict in self.verdicts), default=0)

    def messages(self, *outcomes: Outcome) -> list[str]:
        """Return the messages of the verdicts with one of these outcomes."""
        return [verdict.message for verdict in self.verdicts if verdict.outcome in outcomes]


def decide(subject: Subject, labels: Mapping[str, str], policies: Iterable[Policy], now: datetime) -> Decision:
    """Decide whether a training in a namespace with these labels may run at a time."""
    concerned = [policy for policy in policies if is_for(policy.spec, subject.namespace, labels)]
    verdicts = [_judge(subject, policy, now) for policy in concerned]
    # The status keeps the first ones: what is broken, then what a comparison has to stand for.
    order = [*_BROKEN.values(), Outcome.COMPARED]
    verdicts.sort(key=lambda v: (order.index(v.outcome) if v.outcome in order else len(order), v.policy.name))
    return Decision(
        tuple(verdicts),
        missing=not concerned and labels.get(CLINICAL_LABEL) == "true",
        next_change=min((change for v in verdicts if (change := _next_change(v, now))), default=None),
    )


def in_force(exception: PolicyException, now: datetime) -> bool:
    """Say whether an exception counts: it has not ended, and ends within the longest time that one may last."""
    return now < exception.expires_at <= now + timedelta(days=LONGEST_EXCEPTION_DAYS)


def _next_change(verdict: Verdict, now: datetime) -> datetime | None:
    """Return when the clock alone changes whether the exception counts that names the training; None for never."""
    if verdict.exception:
        return verdict.exception.expires_at
    if verdict.lapsed and verdict.lapsed.expires_at > now:
        return verdict.lapsed.expires_at - timedelta(days=LONGEST_EXCEPTION_DAYS)
    return None


def _judge(subject: Subject, policy: Policy, now: datetime) -> Verdict:
    named = next(
        (e for e in policy.spec.exceptions if (e.namespace, e.name) == (subject.namespace, subject.name)), None
    )
    exception = named if named and in_force(named, now) else None
    standing = Standing(policy.spec.rules, exception)
    broken = violations(subject.spec, standing, subject.verifier, subject.weights_claim, subject.slipped_in)
    as_arm = subject.spec.comparison is not None and standing.terms is not None
    compared = tuple(one for one in broken if as_arm and one.rule in COMPARABLE)
    others = tuple(one for one in broken if one not in compared)
    enforced = policy.spec.mode is PolicyMode.ENFORCE
    kept = Outcome.EXCEPTED if exception else Outcome.ALLOWED
    return Verdict(
        policy,
        outcome=_BROKEN[policy.spec.mode] if others else Outcome.COMPARED if compared else kept,
        violations=others,
        exception=exception,
        lapsed=None if exception else named,
        proven_epochs=_proven_epochs(subject.spec, standing, bool(compared)) if enforced else 0,
        compared=compared,
        terms=standing.terms if compared else None,
    )


def _proven_epochs(spec: NnunetTrainingSpec, standing: Standing, as_arm: bool) -> int:
    # A schedule that ends before early stopping may act is whole when it is over.
    least = min(standing.proven_epochs, spec.schedule.epochs)
    # What is compared is the training as it is: its early stops may act when it says so.
    return min(least, spec.early_stopping.min_epochs) if as_arm and spec.early_stopping.can_end_early else least

"""What is to be said of a training before it is applied: schema, policies, advice. Pure."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum

from nnunet_api.bounds import MAX_SPEC, configurations_problem, size_problem, written_size
from nnunet_api.conditions import rfc3339
from nnunet_api.policy.advice import advice
from nnunet_api.policy.decision import Decision, Policy, Subject, Verdict, decide
from nnunet_api.policy.evidence import terms_words
from nnunet_api.policy.model import CLINICAL_LABEL, Outcome, PolicyException
from nnunet_api.policy.rules import VERIFIER, told
from nnunet_api.remedies.table import POLICY_REMEDY
from nnunet_api.splits import folds_problem
from nnunet_api.standard import planner_advice
from nnunet_api.training import KIND, NnunetTrainingSpec
from nnunet_api.words import counted
from nnunet_cli.lint.data_feed import cpu_advice
from nnunet_cli.lint.documents import Document
from nnunet_cli.lint.local_copy import copy_advice
from nnunet_cli.lint.schema import Invalid, parse


class Level(StrEnum):
    """How much a finding weighs."""

    INVALID = "invalid"
    DENIED = "denied"
    WARNED = "warned"
    """A rule of a policy with the mode Warn is broken, or the API server warns."""
    AUDITED = "recorded"
    """A rule of a policy with the mode Audit is broken."""
    ADVICE = "advice"
    NOTE = "note"
    UNKNOWN = "unknown"
    """Neither the policies could be read nor the API server be asked: nobody has judged."""


FAILING = (Level.INVALID, Level.DENIED)
STRICT = (Level.WARNED, Level.AUDITED, Level.ADVICE)
"""What counts as a failure, too, with --strict."""
NOTHING_CHOSEN = (
    "spec.selection is not given: of several configurations none is chosen, and no test set can be scored. It can't be "
    "given later. selection: {} chooses as nnUNetv2_find_best_configuration does"
)
_OF_VERIFIER = "ask who runs the operator to install it with trainer.image.digest"
_LEVELS = {Outcome.DENIED: Level.DENIED, Outcome.WARNED: Level.WARNED, Outcome.AUDITED: Level.AUDITED}


@dataclass(frozen=True)
class Finding:
    """Something about a training."""

    level: Level
    message: str
    """Field, value, and what is asked for."""
    field: str = ""
    policy: str = ""
    mode: str = ""
    """Mode of the policy."""
    rule: str = ""
    remedy: str = ""
    """What to do."""
    source: str = ""
    """schema, policies, advice, or API server."""


@dataclass(frozen=True)
class Known:
    """What a training is held against."""

    policies: tuple[Policy, ...] = ()
    unreadable: Mapping[str, str] = field(default_factory=dict)
    """By name: what is wrong with the policies that do not parse."""
    labels: Mapping[str, str] | None = None
    """Labels of the training's namespace; None where they are not known, and the policies are not applied then."""
    verifier: str = ""
    """The operator's own trainer image; empty where it is not known."""
    offline: bool = False
    """No API server is asked: the rules of the definition are this program's to check."""


@dataclass
class Result:
    """All that is to be said of one document."""

    document: Document
    namespace: str = ""
    name: str = ""
    findings: list[Finding] = field(default_factory=list)
    said: list[str] = field(default_factory=list)
    """The same as admission words it."""
    planner_advice: str = ""
    """What nnU-Net recommends in the place of the planner; said once for all documents."""

    @property
    def outcome(self) -> str:
        """In one word: invalid, denied, unknown or allowed."""
        levels = {finding.level for finding in self.findings}
        return next((level.value for level in (*FAILING, Level.UNKNOWN) if level in levels), "allowed")

    def fails(self, strict: bool) -> bool:
        """Say whether it counts as a failure."""
        counted = (*FAILING, *STRICT) if strict else FAILING
        return any(finding.level in counted for finding in self.findings)


def check(document: Document, namespace: str, known: Known, now: datetime) -> Result:
    """Hold a training against the schema, the policies and the advice."""
    metadata = document.body.get("metadata")
    metadata = metadata if isinstance(metadata, dict) else {}
    # Without a name yet: no exception can be for it, not even one for the name that begins it.
    name = str(metadata.get("name") or "")
    result = Result(document, namespace, name or str(metadata.get("generateName") or ""))
    try:
        spec = parse(NnunetTrainingSpec, document.body, KIND if known.offline else "")
    except Invalid as invalid:
        result.findings += [
            Finding(Level.INVALID, message, field, remedy="correct the file", source="schema")
            for field, message in invalid.problems
        ]
        return result
    problem = size_problem(written_size(spec.to_json_dict()), MAX_SPEC)
    if problem := problem or configurations_problem(spec.planning.configurations):
        result.findings.append(Finding(Level.INVALID, problem, "spec", remedy="correct the file", source="schema"))
        return result
    if known.labels is not None:
        subject = Subject(namespace, name, spec, known.verifier)
        result.findings += _decided(decide(subject, known.labels, known.policies, now), namespace)
        at_admission = decide(replace(subject, verifier=""), known.labels, known.policies, now)
        result.said += [verdict.message for verdict in at_admission.verdicts if verdict.violations]
        result.findings += [
            Finding(
                Level.DENIED,
                f"policy {policy} can't be read, so nothing can be said about it: {problem}",
                policy=policy,
                remedy="put the policy right, or use a kubectl nnunet of the operator's version",
                source="policies",
            )
            for policy, problem in sorted(known.unreadable.items())
        ]
    found = advice(spec)
    result.said += [each.message for each in found]
    result.findings += [Finding(Level.ADVICE, each.message, each.field, source="advice") for each in found]
    result.findings += [Finding(Level.ADVICE, text, field, source="advice") for field, text in cpu_advice(spec)]
    result.findings += [Finding(Level.ADVICE, text, field, source="advice") for field, text in copy_advice(spec)]
    if problem := folds_problem(spec.splits, spec.fold_names):
        told = f"spec.folds: {problem}. Planning refuses it"
        result.findings.append(Finding(Level.ADVICE, told, "spec.folds", source="advice"))
    if len(spec.configuration_names) > 1 and spec.selection is None:
        result.findings.append(Finding(Level.ADVICE, NOTHING_CHOSEN, "spec.selection", source="advice"))
    result.planner_advice = planner_advice(spec.planning)
    return result


def _decided(decision: Decision, namespace: str) -> Iterator[Finding]:
    if decision.missing:
        yield Finding(
            Level.DENIED,
            f"namespace {namespace} is labelled {CLINICAL_LABEL} and no policy is for it",
            remedy="ask those who may write policies for one",
            source="policies",
        )
    for verdict in decision.verdicts:
        yield from _verdict(verdict)


def _verdict(verdict: Verdict) -> Iterator[Finding]:
    policy, mode = verdict.policy.name, verdict.policy.spec.mode.value
    for violation in verdict.violations:
        level, rule = _LEVELS[verdict.outcome], violation.rule.value
        remedy = _OF_VERIFIER if violation.field == VERIFIER else POLICY_REMEDY
        yield Finding(level, violation.message, violation.field, policy, mode, rule, remedy, "policies")
    if verdict.compared and verdict.terms:
        text = (
            f"{told(verdict.compared)}: it trains as an arm, and complies once its comparison (spec.comparison) has "
            f"come to {terms_words(verdict.terms)}"
        )
        yield Finding(Level.NOTE, text, "spec.comparison", policy, mode, source="policies")
    if verdict.exception:
        yield Finding(Level.NOTE, f"excepted {_words(verdict.exception)}", "", policy, mode, source="policies")
    if verdict.lapsed:
        text = f"the exception that names it does not count {_words(verdict.lapsed)}"
        yield Finding(Level.NOTE, text, "", policy, mode, remedy="ask for a new one", source="policies")


def _words(exception: PolicyException) -> str:
    floor = [f"at least {counted(exception.min_epochs, 'epoch')} hold"] if exception.min_epochs else []
    lifted = [f"without {', '.join(exception.lifted_rules)}"] if exception.lifted_rules else []
    parts = [*floor, *lifted, f"ticket {exception.ticket}", f"approved by {exception.approved_by}"]
    return f"(until {rfc3339(exception.expires_at)}; {'; '.join(parts)})"

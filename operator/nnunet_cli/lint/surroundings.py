"""What a training is held against: the policies and labels of a cluster, those of files, or none."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Protocol

from nnunet_api import training
from nnunet_api.comparison import model as comparison
from nnunet_api.policy.decision import Policy
from nnunet_api.policy.model import CLINICAL_LABEL, KIND, NnunetTrainingPolicySpec
from nnunet_api.policy.namespace_selector import NAMESPACE_NAME_LABEL
from nnunet_cli.errors import CliError, ExitCode
from nnunet_cli.kube.answer import Answer, Refused
from nnunet_cli.kube.cluster import Cluster
from nnunet_cli.lint.checks import Finding, Known, Level
from nnunet_cli.lint.documents import Document
from nnunet_cli.lint.schema import Invalid, parse
from nnunet_cli.volumes.images import image_of_definition

NOT_CHECKED_OFFLINE = (
    "not checked offline: what only the cluster knows, such as a training of this name that is there already, other "
    "admission policies and quotas (leave --offline and --policies out)"
)
READER = "nnunet-policy-reader"
"""ClusterRole of the chart by which people read the rules that they are held to."""
_POLICIES = "nnunet-policy-"
"""Begins the names of the ValidatingAdmissionPolicies that apply policies: what one of them says, a policy asks for."""
_CUT = "... (the API server has cut it here)"


class Surroundings(Protocol):
    """Where a training is to be applied."""

    namespace: str
    """Namespace of trainings that give none."""
    notes: list[str]
    """What could not be checked, for all trainings alike."""

    def known(self, namespace: str) -> Known:
        """Return what a training in a namespace is held against."""

    def ask(self, namespace: str, body: Any, told: Sequence[str]) -> list[Finding]:
        """Return what the API server says of a training, but for what is told already in the same words."""


class Offline:
    """Policies and labels of files, or none at all."""

    def __init__(self, namespace: str, known: Known, with_policies: bool) -> None:
        self.namespace = namespace
        self.notes = [NOT_CHECKED_OFFLINE] + ([] if with_policies else ["not checked offline: policies"])
        self._known = known
        self._with_policies = with_policies

    def known(self, namespace: str) -> Known:
        """Return the policies, and the labels with the one that Kubernetes itself sets."""
        if not self._with_policies:
            return Known(offline=True)
        labels = {NAMESPACE_NAME_LABEL: namespace, **(self._known.labels or {})}
        return Known(self._known.policies, self._known.unreadable, labels, offline=True)

    def ask(self, namespace: str, body: Any, told: Sequence[str]) -> list[Finding]:
        """Return nothing: there is no API server."""
        return []


class Online:
    """The cluster of a kubeconfig."""

    def __init__(self, cluster: Cluster, namespace: str | None) -> None:
        self.namespace = namespace or cluster.namespace
        self.notes: list[str] = []
        self._cluster = cluster
        self._labels: dict[str, Mapping[str, str] | None] = {}
        self._policies, self._unreadable = self._read_policies()
        self._verifier = self._read_verifier() if self._policies else ""

    def known(self, namespace: str) -> Known:
        """Return the policies of the cluster and the labels of the namespace, as far as the user may read them."""
        if self._policies is None:
            return Known()
        return Known(self._policies, self._unreadable, self._labels_of(namespace), self._verifier)

    def ask(self, namespace: str, body: Any, told: Sequence[str]) -> list[Finding]:
        """Return what the API server answers to a dry run, its warnings included, but for what is told already."""
        if not isinstance(body.get("metadata"), dict):
            return []
        kind = str(body.get("kind"))
        plural = comparison.PLURAL if kind == comparison.KIND else training.PLURAL
        answer, verbs = self._cluster.try_create(body, namespace, plural), ["create"]
        changed = answer.status == 409
        if changed and kind == comparison.KIND:
            return [_says(Level.NOTE, "a comparison of this name is there, and can't change: give another name")]
        if changed:
            answer, verbs = self._cluster.try_update(body, namespace), ["get", "update"]
        # Of several denials one is the error, at random, and each is a warning.
        known = [*told, *(said.message for said in answer.denials)]
        new = [said for said in answer.warnings if not any(map(said.is_of, known))]
        warnings = [_says(Level.WARNED, said.message + _CUT * said.cut) for said in new]
        if (
            answer.forbidden
            and not answer.causes
            and not all(self._cluster.may(verb, namespace, plural) for verb in verbs)
        ):
            judged = self._policies is not None and self._labels.get(namespace) is not None
            return [_says(Level.NOTE if judged else Level.UNKNOWN, f"can't be asked: {answer.message}"), *warnings]
        found = [finding for finding in _findings(answer, changed) if finding.message not in told]
        if answer.status < 300 and not any(said.policy.startswith(_POLICIES) for said in answer.warnings):
            found += self._unknown(namespace)
        return [*found, *warnings]

    def _unknown(self, namespace: str) -> list[Finding]:
        """Return what admission has not told: it can't know whether a clinical namespace lacks a policy."""
        labels = self._labels_of(namespace)
        if labels is not None and (self._policies is not None or labels.get(CLINICAL_LABEL) != "true"):
            return []
        if labels is None:
            why = f"whether namespace {namespace} is labelled {CLINICAL_LABEL} and lacks a policy"
        else:
            why = f"whether a policy is for namespace {namespace}, which is labelled {CLINICAL_LABEL}"
        message = f"not known: {why}, so that nothing would train in it: you may not read what says so"
        remedy = f"ask for the ClusterRole {READER} in the whole cluster, which reads policies and labels of namespaces"
        return [Finding(Level.UNKNOWN, message, remedy=remedy, source="policies")]

    def _labels_of(self, namespace: str) -> Mapping[str, str] | None:
        if namespace not in self._labels:
            self._labels[namespace] = self._read_labels(namespace)
        return self._labels[namespace]

    def _read_policies(self) -> tuple[tuple[Policy, ...] | None, Mapping[str, str]]:
        try:
            bodies = self._cluster.policies()
        except Refused as refused:
            if refused.answer.forbidden:
                self.notes.append("you may not read policies, so the API server's answer is all there is")
                return None, {}
            words = "the cluster has no NnunetTrainingPolicies: is the operator installed?"
            raise CliError(f"{words} ({refused}). Use --offline without one", ExitCode.CLUSTER) from None
        return read_policies((Document("the cluster", "", body) for body in bodies), stored=True)

    def _read_verifier(self) -> str:
        try:
            image = image_of_definition(self._cluster.definition())
        except Refused:  # everybody may read it, unless a site's own roles say otherwise
            return ""
        return image.reference if image else ""

    def _read_labels(self, namespace: str) -> Mapping[str, str] | None:
        try:
            return self._cluster.labels(namespace)
        except Refused as refused:
            if refused.answer.status == 404:
                words = "does not exist, so its labels are not known and no policy was applied"
            else:
                words = "can't be read by you, so its labels are not known and the API server's answer is all there is"
            self.notes.append(f"namespace {namespace} {words}")
            return None


def read_policies(documents: Iterable[Document], stored: bool = False) -> tuple[tuple[Policy, ...], dict[str, str]]:
    """Return the policies among some documents, and by name what is wrong with those that do not parse.

    Those that are `stored` in a cluster keep the rules of their definition, or those of an older one.
    """
    readable, unreadable = [], {}
    for document in documents:
        if document.problem:
            unreadable[document.place] = document.problem
        if document.kind != KIND:
            continue
        metadata = document.body.get("metadata")
        metadata = metadata if isinstance(metadata, dict) else {}
        name, generation = str(metadata.get("name", document.place)), metadata.get("generation", 0)
        try:
            readable.append(
                Policy(name, generation, parse(NnunetTrainingPolicySpec, document.body, "" if stored else KIND))
            )
        except Invalid as invalid:
            unreadable[name] = str(invalid)
    return tuple(readable), unreadable


def _findings(answer: Answer, changed: bool) -> list[Finding]:
    """Return what the API server answers; `changed`: to a change of a training that is there."""
    if answer.status < 300:
        return [_says(Level.NOTE, "would change the training of this name" if changed else "would create it")]
    if answer.denials:
        return [_says(Level.DENIED, said.message) for said in answer.denials]
    if answer.causes:
        return [_says(Level.INVALID, f"{c['field']}: {c.get('message')}", c["field"]) for c in answer.causes]
    return [_says(Level.DENIED if answer.forbidden else Level.INVALID, answer.message)]


def _says(level: Level, message: str, field: str = "") -> Finding:
    return Finding(level, message, field, source="API server")

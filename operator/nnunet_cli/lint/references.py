"""What a training names and the cluster has to have: claims, classes of priority and runtime, a service account."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from nnunet_api.training import NnunetTrainingSpec
from nnunet_cli.kube.answer import Refused
from nnunet_cli.kube.cluster import Cluster
from nnunet_cli.lint.checks import Finding, Level
from nnunet_cli.lint.schema import Invalid, parse
from nnunet_cli.text.words import listed

CLAIM, ACCOUNT, PRIORITY, RUNTIME = "claim", "service account", "priority class", "runtime class"
_REMEDIES = {
    CLAIM: "create the claim, or name one that is there ({known})",
    ACCOUNT: "create it, or ask who runs the cluster for one",
    PRIORITY: "see kubectl get priorityclasses",
    RUNTIME: "see kubectl get runtimeclasses",
}


@dataclass(frozen=True)
class Reference:
    """Something of the cluster that a training names."""

    kind: str
    field: str
    name: str


class References:
    """Looks for what trainings name, each thing once."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        self._found: dict[tuple[str, str, str], bool | None] = {}
        self._claims: dict[str, list[str] | None] = {}

    def missing(self, body: Any, namespace: str) -> list[Finding]:
        """Return what is not there; it may come before the training is applied, so each is a warning.

        What may not be looked at is one note. Of a training that is invalid nothing is said.
        """
        try:
            spec = parse(NnunetTrainingSpec, body)
        except Invalid:
            return []
        references = list(references_of(spec))
        there = {reference: self._is_there(reference, namespace) for reference in references}
        findings = [self._finding(each, namespace) for each in references if there[each] is False]
        unknown = [f"{each.kind} {each.name}" for each in references if there[each] is None]
        if unknown:
            words = f"you may not look for {listed(list(dict.fromkeys(unknown)))}, so it is not known whether it exists"
            findings.append(Finding(Level.NOTE, words, source="cluster"))
        return findings

    def _finding(self, reference: Reference, namespace: str) -> Finding:
        known = listed(self._claims.get(namespace) or []) or "there is none yet"
        where = f" in namespace {namespace}" if reference.kind in (CLAIM, ACCOUNT) else " in the cluster"
        message = f"{reference.field} is {reference.name}: there is no {reference.kind} of this name{where}"
        remedy = _REMEDIES[reference.kind].format(known=known)
        return Finding(Level.WARNED, message, reference.field, remedy=remedy, source="cluster")

    def _is_there(self, reference: Reference, namespace: str) -> bool | None:
        """Say whether it exists; None where that may not be looked at."""
        if reference.kind == CLAIM:
            claims = self._names_of_claims(namespace)
            return None if claims is None else reference.name in claims
        key = (reference.kind, namespace if reference.kind == ACCOUNT else "", reference.name)
        if key not in self._found:
            self._found[key] = _exists(lambda: self._read(reference, namespace))
        return self._found[key]

    def _read(self, reference: Reference, namespace: str) -> Any:
        if reference.kind == ACCOUNT:
            return self._cluster.service_account(namespace, reference.name)
        if reference.kind == PRIORITY:
            return self._cluster.class_("scheduling.k8s.io", "priorityclasses", reference.name)
        return self._cluster.class_("node.k8s.io", "runtimeclasses", reference.name)

    def _names_of_claims(self, namespace: str) -> list[str] | None:
        if namespace not in self._claims:
            try:
                bodies = self._cluster.claims(namespace)
                self._claims[namespace] = sorted(body["metadata"]["name"] for body in bodies)
            except Refused:
                self._claims[namespace] = None
        return self._claims[namespace]


def references_of(spec: NnunetTrainingSpec) -> Iterator[Reference]:
    """Yield what a training names."""
    yield Reference(CLAIM, "spec.dataset.claimName", spec.dataset.claim_name)
    yield Reference(CLAIM, "spec.storage.preprocessed.claimName", spec.storage.preprocessed.claim_name)
    yield Reference(CLAIM, "spec.storage.results.claimName", spec.storage.results.claim_name)
    template = spec.pod_template
    named = (
        (PRIORITY, "priorityClassName", template.priority_class_name),
        (RUNTIME, "runtimeClassName", template.runtime_class_name),
        (ACCOUNT, "serviceAccountName", template.service_account_name),
    )
    for kind, field, name in named:
        if name:
            yield Reference(kind, f"spec.podTemplate.{field}", name)


def _exists(read: Callable[[], Any]) -> bool | None:
    try:
        read()
    except Refused as refused:
        return False if refused.answer.status == 404 else None
    return True

"""Who holds dangerous rights: bindings and roles, put together. Pure."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from nnunet_cli.rights.dangers import DANGERS, EVERYTHING, Danger, found_in

Object = dict[str, Any]

_ORDER = {danger.name: place for place, danger in enumerate((EVERYTHING, *DANGERS))}


@dataclass(frozen=True, order=True)
class Subject:
    """A user, a group or a ServiceAccount."""

    kind: str
    name: str
    namespace: str = ""
    """Of a ServiceAccount."""

    @property
    def words(self) -> str:
        """How people call it."""
        return f"{self.kind} {self.namespace}/{self.name}" if self.namespace else f"{self.kind} {self.name}"

    @property
    def of_kubernetes(self) -> bool:
        """It belongs to Kubernetes itself, which can do everything anyway.

        Not all names that begin with `system:`: system:masters and system:authenticated are people.
        """
        if self.kind == "ServiceAccount":
            return self.namespace == "kube-system"
        if self.kind == "Group":
            return self.name in ("system:nodes", "system:serviceaccounts:kube-system")
        return self.name.startswith(("system:kube-", "system:node:"))


@dataclass(frozen=True)
class Holder:
    """A right that somebody has somewhere."""

    subject: Subject
    namespace: str
    """Empty for all namespaces."""
    danger: Danger
    by: str
    """The binding and the role that give it."""
    only: tuple[str, ...] = ()
    """Names of the objects for which it holds; empty for all."""


def holders(roles: Iterable[Object], bindings: Iterable[Object]) -> list[Holder]:
    """Return who holds dangerous rights, those in the whole cluster first.

    `roles` are Roles and ClusterRoles, `bindings` RoleBindings and ClusterRoleBindings, each with its `kind`.
    """
    rules = {_key(role["kind"], role["metadata"]): role.get("rules") or [] for role in roles}
    found = {}
    for binding in bindings:
        metadata, reference = binding["metadata"], binding["roleRef"]
        where = metadata.get("namespace") or ""
        given = rules.get((reference["kind"], where if reference["kind"] == "Role" else "", reference["name"]), [])
        by = f"{binding['kind']} {metadata['name']} -> {reference['kind']} {reference['name']}"
        for subject in binding.get("subjects") or []:
            for holder in _held(_subject(subject, where), where, given, by):
                found[holder.subject, holder.namespace, holder.danger.name, by, holder.only] = holder
    return sorted(_without_what_is_said(list(found.values())), key=_place)


def _held(subject: Subject, where: str, rules: list[Object], by: str) -> Iterable[Holder]:
    for rule in rules:
        names = tuple(sorted(rule.get("resourceNames") or ()))
        for danger in found_in(rule, everywhere=not where):
            yield Holder(subject, where, danger, by, names)


def _without_what_is_said(found: list[Holder]) -> list[Holder]:
    """Leave out what somebody has besides everything: it would bury the rest."""
    all_ = {(one.subject, one.namespace) for one in found if one.danger is EVERYTHING}
    return [
        one for one in found if one.danger is EVERYTHING or not {(one.subject, one.namespace), (one.subject, "")} & all_
    ]


def _place(holder: Holder) -> tuple[Any, ...]:
    return (holder.namespace, holder.subject, _ORDER[holder.danger.name], holder.by, holder.only)


def _key(kind: str, metadata: Object) -> tuple[str, str, str]:
    return kind, metadata.get("namespace") or "", metadata["name"]


def _subject(subject: Object, where: str) -> Subject:
    kind = subject["kind"]
    # A ServiceAccount without a namespace is refused by the API server in a ClusterRoleBinding.
    namespace = subject.get("namespace") or where if kind == "ServiceAccount" else ""
    return Subject(kind, subject["name"], namespace)

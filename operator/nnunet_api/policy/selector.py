"""Whether a policy is for a namespace."""

from collections.abc import Mapping

from nnunet_api.policy.model import NnunetTrainingPolicySpec
from nnunet_api.policy.namespace_selector import NamespaceSelector, SelectorRequirement


def is_for(spec: NnunetTrainingPolicySpec, namespace: str, labels: Mapping[str, str]) -> bool:
    """Say whether a policy is for a namespace with these labels, by its name or by its selector."""
    named = namespace in (spec.namespaces or ())
    return named or (spec.namespace_selector is not None and _selects(spec.namespace_selector, labels))


def _selects(selector: NamespaceSelector, labels: Mapping[str, str]) -> bool:
    return all(labels.get(key) == value for key, value in selector.match_labels.items()) and all(
        _meets(requirement, labels) for requirement in selector.match_expressions
    )


def _meets(requirement: SelectorRequirement, labels: Mapping[str, str]) -> bool:
    """Say what Kubernetes' label selectors say: NotIn also holds where the label is missing."""
    match requirement.operator:
        case "In":
            return labels.get(requirement.key) in requirement.values
        case "NotIn":
            return labels.get(requirement.key) not in requirement.values
        case "Exists":
            return requirement.key in labels
        case "DoesNotExist":
            return requirement.key not in labels
